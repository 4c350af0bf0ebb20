/** What the content detectors can find, in the order in which their numbers are used. */
export const kinds = ['card', 'ssn', 'iban', 'email', 'phone', 'api-key', 'jwt', 'private-key', 'password'] as const;
export type Kind = (typeof kinds)[number];

/** The classification that a finding is reported under, and that `reveal` switches its detector off by. */
export const classificationOf: Readonly<Record<Kind, string>> = {
  card: 'pci.pan',
  ssn: 'pii.ssn',
  iban: 'pii.iban',
  email: 'pii.email',
  phone: 'pii.phone',
  'api-key': 'secret.key',
  jwt: 'secret.token',
  'private-key': 'secret.private_key',
  password: 'secret.password',
};

/** Something found: the bytes from `start` up to `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Bytes to look at. Detectors only index, so that a test can count their steps. */
export type Bytes = { readonly [index: number]: number; readonly length: number };
