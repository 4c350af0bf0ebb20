import { ExchangeMasks } from '../src/gateway/masks.ts';
import { createDetector } from '../src/mask/detect/detector.ts';
import { maskingTools } from '../src/mask/tools.ts';
import type { Decision } from '../src/model/decision.ts';
import { openBodyMasker } from '../src/web/bodies/open-body-masker.ts';
import { bodyRules } from '../src/web/bodies/rules.ts';
import { classified, customers } from './customers.ts';

const chunkSize = 65_536;
const rules = bodyRules(Object.entries(classified).map(([path, classification]) => ({ path, classification })));
const detecting = maskingTools(Buffer.alloc(32, 7), createDetector());
const decision: Decision & { outcome: 'allow' } = {
  outcome: 'allow',
  rule: 'bench',
  rules: ['bench'],
  policyVersion: '1',
  obligations: { masks: {} },
};

/** Masks a JSON document in memory, in pieces as sockets bring them, `times` times; seconds. */
export function maskAlone(document: Buffer, times: number, detectors = true): number {
  const start = performance.now();
  for (let n = 0; n < times; n++) {
    const masks = new ExchangeMasks(decision, detectors ? detecting : maskingTools(Buffer.alloc(32, 7)));
    const masker = openBodyMasker({ kind: 'json', type: undefined, rules, partial: false }, masks);
    for (let at = 0; at < document.length; at += chunkSize) {
      // A masker may work in the bytes that it is given.
      masker.write(Buffer.from(document.subarray(at, at + chunkSize)));
    }
    masker.end();
  }
  return (performance.now() - start) / 1000;
}

if (import.meta.main) {
  const document = customers(10_000_000);
  for (const detectors of [false, true]) {
    maskAlone(document, 3, detectors);
    const speed = ((document.length / 1e6) * 10) / maskAlone(document, 10, detectors);
    console.log(`JSON, two paths, detectors ${detectors ? 'on' : 'off'}: ${speed.toFixed(0)} MB/s`);
  }
}
