import { createHash } from 'node:crypto';
import { PeerError } from '../../model/errors.ts';
import type { TargetCredential } from '../../model/target.ts';
import { serverEndPoint } from './channel-binding.ts';
import { type Authentication, passwordMessage, saslInitialResponse, saslResponse } from './codec.ts';
import type { Dialled } from './dial.ts';
import { type Binding, boundMechanism, leastIterations, plainMechanism, ScramClient } from './scram.ts';

/** What authentication needs of the connection. */
export interface Dialogue {
  send(message: Buffer): void;
  /** The server's next Authentication message; rejects when it says anything else. */
  next(): Promise<Authentication>;
  /** What the operator should read; ends the attempt. */
  refuse(why: string): Error;
}

export interface Proof {
  readonly user: string;
  readonly credential: TargetCredential;
  readonly dialled: Dialled;
  /** Base64 text of 18 random bytes. */
  readonly nonce: string;
}

/** Does what the server asks for until it says Ok. The secret goes out in the clear only to a server we are sure of. */
export async function authenticate(dialogue: Dialogue, proof: Proof): Promise<void> {
  const asked = await dialogue.next();
  switch (asked.kind) {
    case 'ok':
      return acceptTrust(dialogue, proof);
    case 'cleartext':
      sendCleartext(dialogue, proof);
      break;
    case 'md5':
      dialogue.send(passwordMessage(md5(secretOf(dialogue, proof), proof.user, asked.salt)));
      break;
    case 'sasl':
      await scram(dialogue, proof, asked.mechanisms);
      break;
    case 'unsupported':
      throw dialogue.refuse(
        `the server asks for ${methodName(asked.code)}, which is not supported; use scram-sha-256 or a client certificate`,
      );
    default:
      throw new PeerError('UPSTREAM_PROTOCOL', 'the server went on with an authentication that had not begun');
  }
  if ((await dialogue.next()).kind !== 'ok')
    throw new PeerError('UPSTREAM_PROTOCOL', 'the server asked for a second authentication');
}

/** A server that lets us in unasked (`trust`, `cert`, `peer`) has proved nothing. */
function acceptTrust(dialogue: Dialogue, { credential, dialled }: Proof): void {
  if (credential.secret === undefined || dialled.trusted) return;
  throw dialogue.refuse(
    'the server did not ask for the password, and nothing else proves who it is; use tls.mode verify-full',
  );
}

function sendCleartext(dialogue: Dialogue, proof: Proof): void {
  const secret = secretOf(dialogue, proof);
  if (!proof.dialled.trusted)
    throw dialogue.refuse(
      'the server asks for the password in clear text, and nothing proves who it is; use tls.mode verify-full',
    );
  dialogue.send(passwordMessage(secret));
}

function secretOf(dialogue: Dialogue, { credential: { secret } }: Proof): string {
  if (secret === undefined || secret === '')
    throw dialogue.refuse('the server asks for a password, and the target has no credential');
  if (secret.includes('\0')) throw dialogue.refuse('the password of the target holds a zero byte');
  return secret;
}

/** `md5` + MD5(hex(MD5(password, user)), salt), PostgreSQL manual, “Message Flow”. */
export function md5(password: string, user: string, salt: Buffer): string {
  const inner = createHash('md5').update(password).update(user).digest('hex');
  return `md5${createHash('md5').update(inner).update(salt).digest('hex')}`;
}

async function scram(dialogue: Dialogue, proof: Proof, mechanisms: readonly string[]): Promise<void> {
  const binding = chooseBinding(proof.dialled, mechanisms);
  const mechanism = binding.kind === 'bound' ? boundMechanism : plainMechanism;
  if (!mechanisms.includes(mechanism))
    throw dialogue.refuse('the server offers no SASL mechanism that is supported (SCRAM-SHA-256, SCRAM-SHA-256-PLUS)');
  const password = secretOf(dialogue, proof);
  const client = new ScramClient({
    password,
    binding,
    nonce: proof.nonce,
    leastIterations: proof.dialled.trusted ? 1 : leastIterations,
  });
  dialogue.send(saslInitialResponse(mechanism, client.first()));
  const challenge = await dialogue.next();
  if (challenge.kind !== 'sasl-continue')
    throw new PeerError('UPSTREAM_PROTOCOL', 'the server left the SCRAM exchange before its challenge');
  dialogue.send(saslResponse(await client.final(challenge.data)));
  const final = await dialogue.next();
  if (final.kind !== 'sasl-final')
    throw new PeerError('UPSTREAM_PROTOCOL', 'the server left the SCRAM exchange without proving itself');
  client.verify(final.data);
}

function chooseBinding({ certificate }: Dialled, mechanisms: readonly string[]): Binding {
  const data = certificate === undefined ? undefined : serverEndPoint(certificate);
  if (data === undefined) return { kind: 'none' };
  return mechanisms.includes(boundMechanism) ? { kind: 'bound', data } : { kind: 'offered' };
}

function methodName(code: number): string {
  const names: Readonly<Record<number, string>> = { 2: 'Kerberos V5', 6: 'SCM credentials', 7: 'GSSAPI', 9: 'SSPI' };
  return names[code] ?? `authentication method ${code}`;
}
