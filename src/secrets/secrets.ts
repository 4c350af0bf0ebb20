import type { SecretsPort } from '../gateway/ports.ts';
import { Refusal } from '../model/errors.ts';
import type { TargetCredential } from '../model/target.ts';
import type { Credential } from './credential.ts';
import { readSecret, type SecretContext, SecretError } from './readSecret.ts';

export interface SecretsDeps extends SecretContext {
  /** The `credential:` of a target's section; undefined when it has none. */
  readonly credentialOf: (target: string) => Credential | undefined;
  /** Tells the operator why a credential could not be had. The text holds no secret. */
  readonly warn: (message: string, fields: { readonly target: string }) => void;
}

/** Fetches a target's credential anew each time, so that a rotated secret counts from the next session on. Keeps nothing. */
export function createSecrets(deps: SecretsDeps): SecretsPort {
  return {
    async credential({ name }): Promise<TargetCredential> {
      const credential = deps.credentialOf(name);
      if (credential === undefined) return {};
      try {
        const secret = await readSecret(credential, deps);
        return {
          ...(credential.user === undefined ? {} : { user: credential.user }),
          ...(secret === undefined ? {} : { secret }),
        };
      } catch (error) {
        const reason = error instanceof SecretError ? error.message : 'the credential cannot be read';
        deps.warn(`no credential for the target: ${reason}`, { target: name });
        throw new Refusal('UPSTREAM_UNAVAILABLE', `the gateway cannot get its credential for ${name}`, {
          advice: 'try again later; whoever runs the gateway finds the reason in its log',
        });
      }
    },
  };
}
