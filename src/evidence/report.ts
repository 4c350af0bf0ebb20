import { hash } from 'node:crypto';
import type { Checkpoint } from '../audit/note.ts';
import type { RecordedEvent } from '../model/event.ts';
import { controls, outside } from './controls.ts';
import type { Day } from './coverage.ts';
import type { ExceptionCounts } from './derive.ts';
import { exceptionKinds } from './exception-kinds.ts';
import { list } from './field.ts';
import { html, type Markup } from './html.ts';
import { type Parameters, samplesNote } from './manifest.ts';
import { reportStyle } from './report-style.ts';
import type { LogProof } from './select.ts';
import type { ControlStatus } from './status.ts';
import type { Row, Tables } from './tables.ts';
import type { Sampled, Written } from './write-population.ts';

export interface ReportInput {
  readonly checkpoint: Checkpoint;
  readonly proof: LogProof;
  readonly parameters: Parameters;
  readonly tables: Tables;
  readonly statuses: readonly ControlStatus[];
  readonly exceptions: ExceptionCounts;
  readonly coverage: {
    readonly covered: number;
    readonly seconds: number;
    readonly events: number;
    readonly heartbeats: number;
    readonly days: readonly Day[];
  };
  readonly populations: readonly (Sampled & Written)[];
  readonly example?: readonly { readonly event: RecordedEvent; readonly entry: number }[];
}

/** Rows of a list that are written out; the file has all. */
const shown = 40;

/** The report: one page for people, without script, complete in itself. */
export function report(input: ReportInput): string {
  const { checkpoint, parameters } = input;
  // The style is named by its digest, so that nothing else that got into the page could style it, or load, or run.
  const digest = hash('sha256', reportStyle, 'base64');
  const body = html`<header>
<p class="soft">Evidence from an audit log</p>
<h1>${checkpoint.origin}</h1>
<p>${day(parameters.from)} to ${lastDay(parameters.to)}, UTC</p>
</header>
${figures(input)}
<p>Everything here follows from the events in this package. They are proved to be all events of the period in the log that the
checkpoint below signs. <code>sallyport evidence verify</code> makes every number and list again from them and compares.</p>
${controlsSection(input)}
${coverageSection(input)}
${exceptionsSection(input)}
${populationsSection(input)}
${accessSection(input)}
${policySection(input)}
${storySection(input)}
${limitsSection(input)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-${digest}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${html`Evidence: ${checkpoint.origin}, ${day(parameters.from)} to ${lastDay(parameters.to)}`.text}</title>
<style>${reportStyle}</style>
</head>
<body>
${body.text}
</body>
</html>
`;
}

function figures({ statuses, exceptions, coverage, populations }: ReportInput): Markup {
  const rows = (name: string): number =>
    populations.find(({ population }) => population.name === name)?.totals.rows ?? 0;
  const open = [...exceptions.values()].reduce((sum, { count }) => sum + count, 0);
  const figure = (value: string, what: string) => html`<li><b>${value}</b><span>${what}</span></li>\n`;
  return html`<ul class="figures">
${figure(percent(coverage.covered, coverage.seconds), 'of the period covered')}${figure(number(rows('commands')), 'commands let through')}${figure(number(rows('denials')), 'commands refused')}${figure(number(rows('approvals')), 'requests for a person’s yes')}${figure(number(rows('sessions')), 'sessions')}${figure(number(open), 'exceptions')}${figure(`${statuses.filter(({ status }) => status === 'shown').length} of ${statuses.length}`, 'criteria shown without exception')}</ul>`;
}

function controlsSection({ statuses }: ReportInput): Markup {
  return html`<h2>Criteria</h2>
<p class="soft">SOC 2, Trust Services Criteria 2017 (revised 2022), in our words. “Shown” is what the log shows; whether a control is met is for the auditor to say.
Other frameworks: <code>controls.csv</code>. Not spoken of here: ${outside}</p>
${table(
  ['Criterion', '', 'Status', 'Exceptions', 'From elsewhere'],
  statuses.map(({ id, title, status, since, exceptions, missing }) => [
    html`<b>${id}</b>`,
    html`${title}${shows(id)}`,
    html`<span class="tag ${status.replace(' ', '')}">${status}</span>${since === undefined ? '' : html` <span class="soft">${status === 'shown' ? 'since' : 'last'} ${since.slice(0, 10)}</span>`}`,
    exceptions === 0 ? '' : number(exceptions),
    html`<span class="soft">${missing.join('; ')}</span>`,
  ]),
)}`;
}

function shows(id: string): Markup {
  const text = controls.find((control) => control.id === id)?.shows ?? '';
  return text === '' ? html`` : html`<br><span class="soft">${text}</span>`;
}

function coverageSection({ coverage, tables, parameters }: ReportInput): Markup {
  const { covered, seconds, events, heartbeats, days } = coverage;
  const width = 1000 / Math.max(1, days.length);
  const bars = days.map((one, i) => {
    const share = one.seconds === 0 ? 0 : one.covered / one.seconds;
    const height = Math.max(2, Math.round(share * 44));
    const look = share > 0.999 ? 'full' : share > 0 ? 'part' : 'empty';
    return html`<rect class="${look}" x="${(i * width).toFixed(2)}" y="${46 - height}" width="${(width * 0.9).toFixed(2)}" height="${height}"><title>${one.day}: ${percent(one.covered, one.seconds)}</title></rect>`;
  });
  const gaps = [...tables.rows(`SELECT * FROM gaps ORDER BY seconds DESC, seq LIMIT ${shown}`)];
  return html`<h2>Coverage</h2>
<p>For ${duration(covered)} of ${duration(seconds)} the log shows the gateway at work: ${number(events)} events, ${number(heartbeats)} heartbeats. The gateway fails
closed: while it does not run, or cannot write its log, nothing passes through it. A silence of more than ${parameters.silence} seconds counts as a gap.</p>
<svg class="days" viewBox="0 0 1000 46" preserveAspectRatio="none" role="img" aria-label="Share of each day that is covered">${bars}</svg>
${
  gaps.length === 0
    ? html`<p>No gaps.</p>`
    : table(
        ['From', 'To', 'For', 'Cause'],
        gaps.map((gap) => [time(gap.from), time(gap.to), duration(Number(gap.seconds)), String(gap.cause)]),
        'The longest gaps; all are in coverage/gaps.csv',
      )
}`;
}

function exceptionsSection({ tables, exceptions }: ReportInput): Markup {
  const kinds = exceptionKinds.filter(({ kind }) => exceptions.has(kind));
  if (kinds.length === 0)
    return html`<h2>Exceptions</h2>\n<p>None of the ${exceptionKinds.length} kinds that are looked for.</p>`;
  const found = [
    ...tables.rows(
      `SELECT e.* FROM exceptions e ORDER BY CASE e.kind ${exceptionKinds.map(({ kind, severity }) => `WHEN '${kind}' THEN ${['high', 'medium', 'low', 'info'].indexOf(severity)}`).join(' ')} END, e.time, e.seq LIMIT ${shown}`,
    ),
  ];
  const severityOf = (kind: Row[string] | undefined) =>
    exceptionKinds.find((one) => one.kind === kind)?.severity ?? 'info';
  return html`<h2>Exceptions</h2>
${table(
  ['Kind', 'Severity', 'Count', 'What it means'],
  kinds.map(({ kind, severity, means }) => [
    html`<b>${kind}</b>`,
    html`<span class="tag ${severity}">${severity}</span>`,
    number(exceptions.get(kind)?.count ?? 0),
    means,
  ]),
)}
${table(
  ['Event', 'Time', 'Kind', 'Who', 'Target', 'What is known'],
  found.map(({ seq, time: at, kind, principal, target, what }) => [
    String(seq ?? ''),
    time(at),
    html`<span class="tag ${severityOf(kind)}">${kind}</span>`,
    String(principal ?? ''),
    String(target ?? ''),
    cut(String(what ?? '')),
  ]),
  'The gravest first; all are in exceptions.csv',
)}
<p class="soft">What was done about each is for you to write, in a document of your own: this one is a record.</p>`;
}

function populationsSection({ populations, parameters }: ReportInput): Markup {
  return html`<h2>Populations</h2>
<p>Each list comes with its query and control totals. ${parameters.samples} rows of each were drawn with the seed <code>${parameters.seed}</code>. ${samplesNote}</p>
${table(
  ['List', '', 'Rows', 'First', 'Last', 'SHA-256'],
  populations.map(({ population: { name, title }, totals: { rows, firstSeq, lastSeq, sha256 } }) => [
    html`<b>${name}</b>`,
    title,
    number(rows),
    firstSeq === null ? '' : String(firstSeq),
    lastSeq === null ? '' : String(lastSeq),
    html`<code>${sha256.slice(0, 16)}…</code>`,
  ]),
)}`;
}

function accessSection({ tables, parameters }: ReportInput): Markup {
  const found = [
    ...tables.rows(
      `SELECT s.principal, s.kind, group_concat(DISTINCT s.owner ORDER BY s.owner) AS owner, s.target, count(*) AS sessions, sum(s.commands) AS commands, sum(s.changes) AS changes, sum(s.denied) AS denied
       FROM sessions s WHERE coalesce(s.ended, :from) >= :from GROUP BY s.principal, s.kind, s.target ORDER BY changes DESC, commands DESC, s.principal, s.target, s.kind LIMIT ${shown}`,
      { from: parameters.from },
    ),
  ];
  const leavers = [...tables.rows('SELECT count(*) AS count FROM leavers')][0]?.count ?? 0;
  return html`<h2>Who reached what</h2>
${table(
  ['Principal', 'Kind', 'Owner', 'Target', 'Sessions', 'Commands', 'Changes', 'Refused'],
  found.map((row) => [
    html`<span class="mono">${row.principal}</span>`,
    String(row.kind ?? ''),
    String(row.owner ?? ''),
    String(row.target ?? ''),
    number(Number(row.sessions)),
    number(Number(row.commands)),
    number(Number(row.changes)),
    number(Number(row.denied)),
  ]),
  'Most changes first; all are in populations/access.csv',
)}
<p>${leavers === 0 ? 'No list of people who left was given; with one, their last use is shown (--leavers).' : html`${String(leavers)} people who left: <code>populations/terminated-identities.csv</code>.`}</p>`;
}

function policySection({ tables, parameters }: ReportInput): Markup {
  const found = [
    ...tables.rows(`SELECT * FROM policies WHERE time >= :from ORDER BY seq DESC LIMIT ${shown}`, {
      from: parameters.from,
    }),
  ];
  const [before] = [
    ...tables.rows('SELECT version, time FROM policies WHERE time < :from ORDER BY seq DESC LIMIT 1', {
      from: parameters.from,
    }),
  ];
  return html`<h2>Policies</h2>
<p>${before === undefined ? 'Nothing is known of the policies before the first event here.' : html`In force at the beginning: <code>${before.version}</code>, since ${time(before.time)}.`}</p>
${
  found.length === 0
    ? html`<p>No change in the period.</p>`
    : table(
        ['Event', 'Time', '', 'Version', 'Files', 'Problems'],
        found.map((row) => [
          String(row.seq),
          time(row.time),
          String(row.type).replace('policy.', ''),
          html`<code>${row.version}</code>`,
          cut(String(row.files ?? '')),
          cut(String(row.problems ?? '')),
        ]),
        'Newest first',
      )
}`;
}

function storySection({ example }: ReportInput): Markup {
  if (example === undefined || example.length === 0) return html``;
  return html`<h2>One sample, told</h2>
<p class="soft">Sample 1 of the commands. Each of these events comes with its inclusion proof in <code>samples/commands/001.json</code>.</p>
<ol class="story">
${example.map(({ event, entry }) => html`<li><span class="soft">${time(event.time)} · event ${event.seq} · entry ${entry}</span><br><b>${event.type}</b> ${telling(event)}</li>\n`)}</ol>`;
}

const told = [
  'principal',
  'owner',
  'target',
  'decision',
  'rules',
  'verb',
  'resources',
  'text',
  'answer',
  'reason',
  'approvedBy',
  'status',
  'rows',
  'digest',
  'frames',
];

function telling(event: RecordedEvent): string {
  return told
    .filter((key) => event[key] !== undefined)
    .map((key) => `${key}: ${cut(typeof event[key] === 'number' ? String(event[key]) : (list(event[key]) ?? ''))}`)
    .join(' · ');
}

function limitsSection({ checkpoint, proof }: ReportInput): Markup {
  return html`<h2>What this rests on</h2>
<p>Checkpoint: ${number(checkpoint.size)} entries, root <code>${checkpoint.root.toString('hex')}</code>. Of these, entries ${proof.from} to ${proof.to - 1} are the period.</p>
<p>Compare the log’s public key with the one you were given by another way; the key in this package proves only that the package is whole. Whoever holds the log’s signing key could have
written another history, unless a checkpoint was kept elsewhere.</p>
<p>What went round the gateway is not in its log. Which events from before the period bear on it was chosen when the package was built: that each is genuine is proved, that none was left out
is not. A session or ticket that is missing among them as a whole shows as an exception.</p>`;
}

type Shown = Markup | string;

function table(head: readonly string[], rows: readonly (readonly Shown[])[], caption?: string): Markup {
  const numeric = head.map(
    (_, column) =>
      rows.length > 0 && rows.every((row) => typeof row[column] === 'string' && /^[\d\u202f]*$/.test(row[column])),
  );
  const look = (column: number) =>
    numeric[column] === true
      ? html` class="n"`
      : head[column] === 'Time' || head[column] === 'From' || head[column] === 'To'
        ? html` class="t"`
        : html``;
  return html`<div class="wide"><table>${caption === undefined ? '' : html`<caption>${caption}</caption>`}
<thead><tr>${head.map((cell, i) => html`<th${look(i)}>${cell}</th>`)}</tr></thead>
<tbody>
${rows.map((row) => html`<tr>${row.map((cell, i) => html`<td${look(i)}>${cell}</td>`)}</tr>\n`)}</tbody></table></div>`;
}

function number(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** Never rounded up to all of it. */
function percent(part: number, whole: number): string {
  if (whole === 0) return '0 %';
  const share = Math.floor((part / whole) * 10_000) / 100;
  return `${share.toFixed(2)} %`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86_400).toFixed(1)} days`;
}

function time(value: Row[string] | undefined): string {
  return typeof value === 'string' ? value.replace('T', ' ').replace(/\.\d+Z$/, 'Z') : '';
}

function day(instant: string): string {
  return instant.endsWith('T00:00:00.000Z') ? instant.slice(0, 10) : time(instant);
}

/** A period to midnight ends with the day before. */
function lastDay(to: string): string {
  return to.endsWith('T00:00:00.000Z') ? new Date(Date.parse(to) - 1).toISOString().slice(0, 10) : time(to);
}

function cut(text: string): string {
  return text.length > 300 ? `${text.slice(0, 299)}…` : text;
}
