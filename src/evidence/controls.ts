/**
 * One criterion of the Trust Services Criteria and what a gateway can show of it. Source of the numbering: AICPA, 2017 Trust Services
 * Criteria with the points of focus as revised in 2022 (TSP section 100). Titles and texts are our own words, not the standard's.
 */
export interface Control {
  readonly id: string;
  readonly title: string;
  /** What the populations show. */
  readonly shows: string;
  readonly populations: readonly string[];
  /** Kinds of exceptions that speak against it. */
  readonly exceptions: readonly string[];
  /** Rows of `frameworks.ts`. */
  readonly themes: readonly string[];
  /** What has to come from elsewhere. */
  readonly elsewhere: string;
}

export const controls: readonly Control[] = [
  {
    id: 'CC6.1',
    title: 'Access to protected assets is restricted',
    shows:
      'Every session with the credential it was opened with, vouched for by an issuer or a ticket made from one; each command with the policy that decided it; what was refused; what was masked.',
    populations: ['sessions', 'logins', 'commands', 'denials', 'masking', 'access'],
    exceptions: ['use-after-revocation', 'use-after-expiry', 'start-unknown', 'ticket-unknown', 'failed-logins'],
    themes: ['access', 'authentication', 'masking', 'log-content'],
    elsewhere:
      'That the identity provider asks for a second factor; that no way to a target leads around the gateway; rotation of the targets’ own credentials.',
  },
  {
    id: 'CC6.2',
    title: 'Identities are registered before they get access, and lose it when they leave',
    shows:
      'All people, jobs and agents that were in, with their owners; tickets with their life and revocation; for a list of leavers, their last use.',
    populations: ['identities', 'tickets', 'terminated-identities'],
    exceptions: ['agent-without-owner', 'leaver-use', 'use-after-revocation', 'use-after-expiry', 'slow-revocation'],
    themes: ['identity', 'authentication'],
    elsewhere:
      'The list of joiners and leavers (give it with --leavers); registration and removal at the identity provider.',
  },
  {
    id: 'CC6.3',
    title: 'Access is authorised, least, and separated from its approval',
    shows:
      'Who reached what; which commands were refused; which needed a person’s yes, who gave it and for exactly what, and that nobody approved for themselves.',
    populations: ['access', 'approvals', 'denials', 'changes'],
    exceptions: ['self-approval', 'unapproved-use'],
    themes: ['access', 'log-content'],
    elsewhere: 'The periodic review of who should have access: the list `access` is what it is held over.',
  },
  {
    id: 'CC6.4',
    title: 'Physical access is restricted',
    shows: '',
    populations: [],
    exceptions: [],
    themes: [],
    elsewhere: 'All of it: a gateway has no part in it.',
  },
  {
    id: 'CC6.5',
    title: 'Protection ends only when the data is gone',
    shows:
      'Nothing yet: this version of the log deletes nothing, so there is no disposal to show. recordings.csv has what is kept, with digests.',
    populations: [],
    exceptions: [],
    themes: ['disposal'],
    elsewhere: 'Disposal of media and of copies elsewhere.',
  },
  {
    id: 'CC6.6',
    title: 'Threats from outside the boundary are kept out',
    shows:
      'Attempts that were not let in, with address and reason; commands that were refused; sessions of known callers only.',
    populations: ['failed-logins', 'denials', 'sessions'],
    exceptions: ['failed-logins', 'use-after-revocation', 'use-after-expiry'],
    themes: ['authentication', 'access'],
    elsewhere: 'Network rules that leave the gateway as the only way; a comparison with the targets’ own login logs.',
  },
  {
    id: 'CC6.7',
    title: 'Moving data out is restricted and protected',
    shows: 'Rows and bytes of each reply, what was masked in it, and the recording of what was shown.',
    populations: ['commands', 'masking', 'recordings', 'evidence-access'],
    exceptions: ['large-reply', 'recording-missing', 'recording-truncated'],
    themes: ['masking', 'crypto'],
    elsewhere: 'The TLS settings of both legs (in the configuration, which is not part of the log).',
  },
  {
    id: 'CC6.8',
    title: 'Unwanted software is prevented and found',
    shows:
      'Little: operations.csv has the gateway’s own starts with the runtime’s version, changes.csv what was changed through it.',
    populations: [],
    exceptions: [],
    themes: ['change'],
    elsewhere: 'The digest and origin of the gateway’s own release; the hosts it runs on.',
  },
  {
    id: 'CC7.1',
    title: 'Configuration is watched for drift',
    shows:
      'Each policy version that came into force or was rejected, and every start with its targets. Each decision names its version.',
    populations: ['policies', 'operations'],
    exceptions: ['policy-rejected', 'target-warning'],
    themes: ['change'],
    elsewhere: 'Vulnerability scans; the configuration file’s own history.',
  },
  {
    id: 'CC7.2',
    title: 'Systems are monitored for anomalies, and so is the monitoring',
    shows:
      'The log has a heartbeat a minute: coverage says for which time it speaks. Refusals, failed logins and large replies are listed.',
    populations: ['denials', 'failed-logins', 'operations', 'recordings'],
    exceptions: ['silence', 'crash', 'failed-logins', 'recording-missing', 'recording-truncated', 'large-reply'],
    themes: ['log-content', 'log-integrity', 'log-failure', 'clock'],
    elsewhere: 'Who looks at the alerts, and how fast.',
  },
  {
    id: 'CC7.3',
    title: 'Events are evaluated',
    shows: 'The list of exceptions in this package, and who looked at which recording.',
    populations: ['evidence-access'],
    exceptions: ['outcome-unknown', 'outcome-missing'],
    themes: ['review'],
    elsewhere: 'What was decided about each exception: answer them in a document of your own.',
  },
  {
    id: 'CC7.4',
    title: 'Incidents are responded to',
    shows: 'Sessions that a person ended, tickets that were revoked and how fast that took effect.',
    populations: ['operations', 'tickets'],
    exceptions: ['use-after-revocation', 'slow-revocation'],
    themes: ['review'],
    elsewhere: 'The incident process and its records.',
  },
  {
    id: 'CC8.1',
    title: 'Changes are authorised before they are made',
    shows:
      'Every change through the gateway with its decision, rule and approval; an approval is bound to the digest of exactly what ran.',
    populations: ['changes', 'approvals', 'policies'],
    exceptions: ['self-approval', 'unapproved-use'],
    themes: ['change'],
    elsewhere: 'Who approved a change of the policies themselves: their review is in the repository they come from.',
  },
  {
    id: 'A1.1',
    title: 'Capacity is watched',
    shows: 'Little: coverage/days.csv has the events of each day.',
    populations: [],
    exceptions: [],
    themes: [],
    elsewhere: 'Capacity planning; disk and load of the machines.',
  },
  {
    id: 'A1.2',
    title: 'The environment is protected and recoverable',
    shows: 'Uptime of the control itself, every stop and recovery, and what a crash left open.',
    populations: ['operations'],
    exceptions: ['silence', 'crash'],
    themes: ['log-failure'],
    elsewhere: 'Backups of the data folder and tests of their restore.',
  },
  {
    id: 'A1.3',
    title: 'Recovery is tested',
    shows: 'Nothing: operations.csv has recoveries that happened, which are no tests.',
    populations: [],
    exceptions: [],
    themes: [],
    elsewhere: 'Planned tests and their results.',
  },
  {
    id: 'PI1.2',
    title: 'Inputs are complete and accurate',
    shows: 'What was not understood was refused, and is listed with its code.',
    populations: ['denials'],
    exceptions: [],
    themes: ['log-content'],
    elsewhere: 'Checks within the targets.',
  },
  {
    id: 'PI1.3',
    title: 'Processing comes to a definite end',
    shows: 'Each command that was let through has its outcome. Those without one are exceptions.',
    populations: ['commands'],
    exceptions: ['outcome-missing', 'outcome-unknown'],
    themes: ['log-content'],
    elsewhere: 'Processing within the targets.',
  },
  {
    id: 'PI1.4',
    title: 'Output reaches whom it is for, whole',
    shows: 'Rows and bytes of each reply and the session that it went to.',
    populations: ['commands', 'sessions'],
    exceptions: ['recording-truncated'],
    themes: ['log-content'],
    elsewhere: 'What the callers do with it.',
  },
  {
    id: 'PI1.5',
    title: 'Stored records are complete and unchanged',
    shows: 'Merkle proofs: every event of the period is in this package as it was signed, and none is missing.',
    populations: ['commands', 'recordings'],
    exceptions: ['recording-missing', 'start-unknown'],
    themes: ['log-integrity', 'retention'],
    elsewhere: 'A checkpoint or key that was kept outside of the gateway’s reach.',
  },
  {
    id: 'C1.1',
    title: 'Confidential data is identified and protected',
    shows: 'Which classified fields were met and how each was masked.',
    populations: ['masking', 'commands'],
    exceptions: [],
    themes: ['masking', 'retention'],
    elsewhere: 'That the classification of the targets’ columns is complete.',
  },
  {
    id: 'C1.2',
    title: 'Confidential data is disposed of',
    shows: 'This version deletes nothing, so there is no disposal to show.',
    populations: [],
    exceptions: [],
    themes: ['disposal'],
    elsewhere: 'Disposal in the targets and of the data folder.',
  },
  {
    id: 'P4.1',
    title: 'Personal data is used for its purpose only',
    shows: 'Reads of classified fields, masked unless a policy lets a caller see them.',
    populations: ['masking', 'denials'],
    exceptions: [],
    themes: ['masking'],
    elsewhere: 'The purposes, notices and consents (P1 to P3).',
  },
  {
    id: 'P6.2',
    title: 'Disclosures are on record',
    shows: 'Replies by recipient, with rows and what was masked.',
    populations: ['commands', 'sessions'],
    exceptions: ['large-reply'],
    themes: ['log-content', 'masking'],
    elsewhere: 'Which replies hold personal data that nobody classified.',
  },
];

/** Criteria that a gateway has no part in, named so that nobody looks for them. */
export const outside =
  'CC1 to CC5 (people, governance, risk), CC6.4 (physical access), CC9 (vendors, insurance), P1 to P3, P5, P7 and P8 (notice, consent, quality, complaints).';
