import { type Detector, oneValue } from './detector.ts';
import { classificationOf } from './kinds.ts';

/** What a text holds: `whole` where there is nothing else in it but blanks. */
export interface Recognised {
  readonly classification: string;
  readonly whole: boolean;
}

/** Says what the detectors find in a text, once for each kind. Nothing of the text is kept. */
export function recogniser(detector: Detector): (text: string) => readonly Recognised[] {
  return (text) => {
    const bytes = Buffer.from(text.trim());
    const { length } = bytes;
    const found: Recognised[] = [];
    detector.scrub(bytes, oneValue, (kind, count, originals) => {
      found.push({ classification: classificationOf[kind], whole: count === 1 && originals.length === length + 4 });
    });
    return found;
  };
}
