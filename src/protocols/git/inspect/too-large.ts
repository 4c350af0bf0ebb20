/** A bound of the inspection was reached; what was not looked at cannot be vouched for. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge';
}
