import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider';

interface Entry {
  readonly payload: AdapterPayload;
  readonly expiresAt: number;
}

/** More sign-ins at a time than any demonstration has; the oldest are forgotten. */
const maxEntries = 5000;

/** Grants, codes and sessions of the development provider, in memory: a restart signs everybody out. */
export function idpStore(): AdapterFactory {
  const entries = new Map<string, Entry>();

  function live(key: string): AdapterPayload | undefined {
    const entry = entries.get(key);
    if (entry === undefined || entry.expiresAt > Date.now()) return entry?.payload;
    entries.delete(key);
    return undefined;
  }

  return (model): Adapter => {
    const prefix = `${model}:`;
    const search = (fits: (payload: AdapterPayload) => boolean) => {
      const key = [...entries.keys()].find((k) => k.startsWith(prefix) && fits(entries.get(k)!.payload));
      return key === undefined ? undefined : live(key);
    };
    return {
      async upsert(id, payload, expiresIn) {
        entries.set(prefix + id, {
          payload,
          expiresAt: expiresIn ? Date.now() + expiresIn * 1000 : Number.POSITIVE_INFINITY,
        });
        if (entries.size > maxEntries) entries.delete(entries.keys().next().value!);
      },
      async find(id) {
        return live(prefix + id);
      },
      async findByUserCode(code) {
        return search(({ userCode }) => userCode === code);
      },
      async findByUid(uid) {
        return search((payload) => payload.uid === uid);
      },
      async consume(id) {
        const payload = live(prefix + id);
        if (payload !== undefined) payload.consumed = Math.floor(Date.now() / 1000);
      },
      async destroy(id) {
        entries.delete(prefix + id);
      },
      async revokeByGrantId(grantId) {
        for (const [key, { payload }] of entries) if (payload.grantId === grantId) entries.delete(key);
      },
    };
  };
}
