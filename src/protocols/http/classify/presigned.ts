import { Refusal } from '../../../model/errors.ts';
import { formPairs } from './form.ts';

/** Presigned URLs are bearer credentials that outlive policy. Throws Refusal UNSUPPORTED. */
export function refusePresigned(target: string): void {
  const mark = target.indexOf('?');
  if (mark < 0) return;
  const presigned = [...formPairs(target.slice(mark + 1), '&;')].some(
    (pair) =>
      pair !== undefined &&
      /^(?:x-amz-(?:signature|credential|algorithm|security-token)|awsaccesskeyid|signature)$/i.test(pair[0]),
  );
  if (!presigned) return;
  throw new Refusal('UNSUPPORTED', 'presigned URLs are not taken', {
    advice:
      'sign each request in its header, as aws s3 cp does; a URL that works for whoever has it cannot be decided on',
  });
}
