/** A recording that is not what was written. The message names the segment. */
export class RecordingDamaged extends Error {
  override readonly name = 'RecordingDamaged';
  /** Number of the first segment that is not intact; 0 for the file's header. */
  readonly segment: number;

  constructor(segment: number, message: string) {
    super(message);
    this.segment = segment;
  }
}
