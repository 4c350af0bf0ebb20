import { type BodyMasker, nothing } from './masker.ts';

/** A body that is not looked at. */
export class PassedBody implements BodyMasker {
  write(bytes: Buffer): Buffer {
    return bytes;
  }

  end(): Buffer {
    return nothing;
  }
}
