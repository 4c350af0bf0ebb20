import type { Hidden } from '../../../sql/hidden.ts';
import type { Certificate } from './certificate.ts';

/** A mask that looks at the column it masks. */
export interface MaskRead {
  /** OID and attribute number. */
  readonly relation: number;
  readonly column: number;
  /** A statement that selects just this mask from its table. */
  readonly question: string;
}

/** A statement as it is sent, so that what is hidden from its caller is masked in it; of one version of the schema. */
export interface Rewritten {
  readonly text: string;
  /** What the server analyses: the query inside a statement that it would not look into. */
  readonly analysed: string;
  /** Its rows go to the client as a reply that describes them; elsewhere no column can be masked. */
  readonly shown: boolean;
  readonly hidden: Hidden;
  readonly version: string;
  readonly reads: readonly MaskRead[];
  /** By what else its meaning depends on: the types of its parameters, and what names mean in the session. */
  readonly certificates: Map<string, Certificate>;
}
