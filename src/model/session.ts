import type { Principal } from './principal.ts';

/** One principal at one target, from login to hang-up. */
export interface Session {
  /** UUIDv7. */
  readonly id: string;
  readonly principal: Principal;
  readonly target: string;
  readonly protocol: string;
  readonly client: { readonly address: string; readonly application?: string };
  /** ms since the epoch. */
  readonly startedAt: number;
}
