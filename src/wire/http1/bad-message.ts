/** A message that is not HTTP/1.1 as we accept it. The text holds nothing that was sent. Its connection cannot go on. */
export class BadMessage extends Error {
  override readonly name = 'BadMessage';
  /** What a server answers: 400, or the more precise 408, 417, 431, 501, 505. */
  readonly status: number;

  constructor(message: string, status = 400) {
    super(message);
    this.status = status;
  }
}
