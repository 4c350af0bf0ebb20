import { describe, expect, it } from 'vitest';
import { createDetector } from './detector.ts';
import { recogniser } from './recognise.ts';

const recognise = recogniser(createDetector());

describe('a text', () => {
  it('is recognised as a whole, blanks around it aside', () => {
    expect(recognise(' 4111 1111 1111 1111\n')).toEqual([{ classification: 'pci.pan', whole: true }]);
    expect(recognise('someone@mail.example')).toEqual([{ classification: 'pii.email', whole: true }]);
  });

  it('that holds more than that is not', () => {
    expect(recognise('write to someone@mail.example')).toEqual([{ classification: 'pii.email', whole: false }]);
    const both = recognise('someone@mail.example, 219-09-9999');
    expect(both.map(({ classification, whole }) => [classification, whole]).toSorted()).toEqual([
      ['pii.email', false],
      ['pii.ssn', false],
    ]);
    expect(recognise('a@mail.example b@mail.example')).toEqual([{ classification: 'pii.email', whole: false }]);
  });

  it('that holds nothing of the kind is nothing', () => {
    expect(recognise('')).toEqual([]);
    expect(recognise('plain words, 12 of them')).toEqual([]);
  });
});
