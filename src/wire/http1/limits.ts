/** What one head may be. */
export interface HeadLimits {
  /** Start line and fields together, bytes. */
  readonly headBytes: number;
  readonly headFields: number;
}
