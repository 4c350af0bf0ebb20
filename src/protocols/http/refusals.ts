import type { Refusal } from '../../model/errors.ts';
import { type Fields, field, type ServerCall } from '../../web/message.ts';
import { refuseCall, statusOf } from '../../web/problem.ts';
import { awsRefusal } from './credentials/sigv4/refusal.ts';

/** Answers with a refusal that the caller's client shows: AWS's clients read their own errors only, all others get problem+json. */
export function refuseHttp(call: ServerCall, refusal: Refusal, extra: Fields = []): void {
  const service = signedService(call.request.fields);
  if (service === undefined) {
    refuseCall(call, refusal, extra);
    return;
  }
  const { fields, body } = awsRefusal(refusal, service);
  const bytes = Buffer.from(body);
  call.body.cancel();
  call.answer({
    status: statusOf[refusal.kind],
    fields: [...fields, 'cache-control', 'no-store', ...extra],
    length: bytes.length,
  });
  void call.write(bytes);
  call.end();
}

/** `s3` of `AWS4-HMAC-SHA256 Credential=SALLYPORT/20260102/eu-central-1/s3/aws4_request, …`. */
function signedService(fields: Fields): string | undefined {
  const authorization = field(fields, 'authorization') ?? '';
  return /^AWS4-HMAC-SHA256 .*Credential=[^/,]*\/[^/,]*\/[^/,]*\/([a-z0-9-]{1,63})\//.exec(authorization)?.[1];
}
