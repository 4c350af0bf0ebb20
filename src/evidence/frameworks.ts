/** How themes of the log relate to other frameworks. Numbers only; no text of a standard. */
export interface Theme {
  readonly id: string;
  readonly theme: string;
  /** ISO/IEC 27001:2022, Annex A. */
  readonly iso27001: readonly string[];
  /** PCI DSS v4.0.1. */
  readonly pci: readonly string[];
  /** HIPAA Security Rule, 45 CFR part 164. */
  readonly hipaa: readonly string[];
  /** NIST SP 800-53 revision 5. */
  readonly nist: readonly string[];
}

/** Where the numbers are from, and which of them were read there rather than remembered: the others want a second look. */
export const frameworkSources = [
  'ISO/IEC 27001:2022, Annex A (control numbers, from general knowledge)',
  'PCI DSS v4.0.1, PCI Security Standards Council, June 2024 (requirements 3.5 to 3.7, 7, 8 and 10 compared with a published list; the others from general knowledge)',
  'HIPAA Security Rule, 45 CFR 164.312 (compared with its text); 164.308, 164.310 and 164.316 (from general knowledge)',
  'NIST SP 800-53 revision 5 (control numbers, from general knowledge)',
] as const;

export const themes: readonly Theme[] = [
  {
    id: 'log-content',
    theme: 'What is logged',
    iso27001: ['8.15'],
    pci: ['10.2.1', '10.2.1.1', '10.2.1.2', '10.2.1.4', '10.2.1.5', '10.2.2'],
    hipaa: ['164.312(b)'],
    nist: ['AU-2', 'AU-3', 'AU-12', 'AU-14'],
  },
  {
    id: 'log-integrity',
    theme: 'The log cannot be changed unnoticed',
    iso27001: ['5.28', '5.33', '8.15'],
    pci: ['10.3.2', '10.3.3', '10.3.4'],
    hipaa: ['164.312(c)(1)', '164.312(c)(2)'],
    nist: ['AU-9', 'AU-9(3)', 'AU-10'],
  },
  {
    id: 'log-failure',
    theme: 'Starts, stops and failures of logging',
    iso27001: ['8.15'],
    pci: ['10.2.1.6', '10.7.2', '10.7.3'],
    hipaa: ['164.312(b)'],
    nist: ['AU-5', 'AU-5(4)'],
  },
  {
    id: 'review',
    theme: 'Review of the log and response',
    iso27001: ['5.25', '8.16'],
    pci: ['10.4.1', '10.4.1.1', '10.4.3'],
    hipaa: ['164.308(a)(1)(ii)(D)'],
    nist: ['AU-6', 'SI-4'],
  },
  {
    id: 'retention',
    theme: 'Retention',
    iso27001: ['5.33', '8.10'],
    pci: ['10.5.1'],
    hipaa: ['164.316(b)(2)(i)'],
    nist: ['AU-11'],
  },
  {
    id: 'clock',
    theme: 'Time',
    iso27001: ['8.17'],
    pci: ['10.6.1', '10.6.2', '10.6.3'],
    hipaa: [],
    nist: ['AU-8', 'AU-12(1)'],
  },
  {
    id: 'identity',
    theme: 'Life of an identity',
    iso27001: ['5.16', '5.18'],
    pci: ['8.2.1', '8.2.2', '8.2.4', '8.2.5', '8.2.6'],
    hipaa: ['164.312(a)(2)(i)', '164.312(d)'],
    nist: ['AC-2', 'AC-2(3)', 'IA-2'],
  },
  {
    id: 'access',
    theme: 'Least privilege and approval',
    iso27001: ['5.3', '5.15', '8.2', '8.3'],
    pci: ['7.2.2', '7.2.3', '7.2.4', '7.2.5', '7.2.6'],
    hipaa: ['164.312(a)(1)'],
    nist: ['AC-3', 'AC-5', 'AC-6', 'AC-24'],
  },
  {
    id: 'authentication',
    theme: 'Authentication and sessions',
    iso27001: ['8.5'],
    pci: ['8.4.1', '8.6.1', '8.6.2', '8.6.3'],
    hipaa: ['164.312(a)(2)(iii)', '164.312(d)'],
    nist: ['IA-2', 'AC-12'],
  },
  {
    id: 'masking',
    theme: 'Masking',
    iso27001: ['5.34', '8.11', '8.12'],
    pci: ['3.4.1', '3.5.1.1'],
    hipaa: ['164.312(a)(1)'],
    nist: ['AC-4', 'SI-19'],
  },
  {
    id: 'crypto',
    theme: 'Encryption and keys',
    iso27001: ['8.24'],
    pci: ['3.6.1', '3.7.1'],
    hipaa: ['164.312(a)(2)(iv)', '164.312(e)(1)'],
    nist: ['SC-12', 'SC-13', 'SC-28'],
  },
  {
    id: 'change',
    theme: 'Change and configuration',
    iso27001: ['8.4', '8.9', '8.32'],
    pci: ['6.5.1'],
    hipaa: [],
    nist: ['CM-3', 'CM-5(1)', 'CM-6'],
  },
  { id: 'disposal', theme: 'Disposal', iso27001: ['8.10'], pci: ['3.2.1'], hipaa: ['164.310(d)(2)'], nist: ['MP-6'] },
];
