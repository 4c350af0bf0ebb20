/** What crosses between the store and its worker thread. Values are what SQLite binds and returns. */
export type SqlValue = string | number | bigint | null | Uint8Array;

export type ToWorker =
  | { readonly id: number; readonly kind: 'run'; readonly sql: string; readonly parameters: readonly SqlValue[] }
  | { readonly id: number; readonly kind: 'close' };

export type FromWorker =
  | {
      readonly id: number;
      readonly kind: 'done';
      readonly rows: readonly Record<string, SqlValue>[];
      readonly changes: number;
    }
  | {
      readonly id: number;
      readonly kind: 'error';
      readonly message: string;
      readonly code?: string;
      readonly errcode?: number;
    };

export interface WorkerData {
  readonly file: string;
  /** How long a statement waits for another process's transaction, ms. */
  readonly busyMs: number;
}
