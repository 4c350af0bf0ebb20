import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApprovalRequest } from '../model/approval.ts';
import { ConfigError } from '../model/errors.ts';
import type { Notifier } from './notifier.ts';

export interface WebhookOptions {
  readonly name: string;
  /** https; http on loopback only. */
  readonly url: string;
  /** `whsec_` and 24–64 bytes in base64. Two while a secret is being replaced: the receiver accepts either signature. */
  readonly secrets: readonly string[];
  readonly now: () => number;
  /** Waits between tries, ms. Default: 1 s, 5 s, 30 s, 2 min. */
  readonly delaysMs?: readonly number[];
  /** For one try, ms. Default 10 s. */
  readonly timeoutMs?: number;
}

/**
 * Posts `approval.requested` to a web address, signed as Standard Webhooks says (webhook-id, webhook-timestamp, webhook-signature: HMAC-SHA-256 of
 * `id.timestamp.body`). Every try carries the same id, so that a receiver can tell repeats. The command is not in the message, nor any of its
 * values: whoever may decide follows the link and logs in. A redirect is a failure; so is any status but 2xx; 410 ends the tries.
 */
export function webhookNotifier(options: WebhookOptions): Notifier {
  const url = webhookUrl(options);
  const keys = options.secrets.map((secret) => webhookKey(options.name, secret));
  if (keys.length === 0) throw new ConfigError(`notifier ${options.name}: a webhook needs a secret`);
  const { delaysMs = [1_000, 5_000, 30_000, 120_000], timeoutMs = 10_000, now } = options;

  async function attempt(id: string, body: string, signal: AbortSignal): Promise<number | string> {
    const timestamp = Math.floor(now() / 1_000);
    const headers = {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': keys.map((key) => `v1,${signature(key, id, timestamp, body)}`).join(' '),
    };
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers,
        body,
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      await answer.body?.cancel();
      return answer.status;
    } catch (error) {
      signal.throwIfAborted();
      // The name only: the text of a network error may hold the address, and an address may hold a token.
      return error instanceof Error ? error.name : 'an error';
    }
  }

  return {
    name: options.name,
    async notify(request, link, signal) {
      const id = `msg_${request.id}`;
      const body = message(request, link);
      for (let tries = 1; ; tries++) {
        const result = await attempt(id, body, signal);
        if (typeof result === 'number' && result >= 200 && result < 300) return;
        const delay = delaysMs[tries - 1];
        if (result === 410 || delay === undefined)
          throw new Error(`${url.host} answered ${result} after ${tries} tries`);
        await sleep(delay, undefined, { signal, ref: false });
      }
    },
  };
}

/** Base64 of HMAC-SHA-256 over `id.timestamp.body`; `timestamp` in seconds since the epoch. */
export function signature(key: Buffer, id: string, timestamp: number, body: string): string {
  return createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
}

function message(request: ApprovalRequest, link: string): string {
  const { id, digest, requester, target, verb, rule, approvers, createdAt, expiresAt } = request;
  return JSON.stringify({
    type: 'approval.requested',
    timestamp: new Date(createdAt).toISOString(),
    data: { id, digest, requester, target, verb, rule, approvers, expiresAt: new Date(expiresAt).toISOString(), link },
  });
}

function webhookUrl({ name, url }: WebhookOptions): URL {
  const parsed = URL.parse(url);
  const loopback = parsed !== null && ['127.0.0.1', '[::1]', 'localhost'].includes(parsed.hostname);
  if (parsed === null || !(parsed.protocol === 'https:' || (parsed.protocol === 'http:' && loopback))) {
    throw new ConfigError(`notifier ${name}: expected an https address (http on loopback only)`);
  }
  return parsed;
}

function webhookKey(name: string, secret: string): Buffer {
  const encoded = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret)?.[1] ?? '';
  const key = Buffer.from(encoded, 'base64');
  if (key.length < 24 || key.length > 64)
    throw new ConfigError(`notifier ${name}: expected a secret of whsec_ and 24–64 bytes in base64`);
  return key;
}
