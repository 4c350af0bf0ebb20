// Placeholder by the lead so that main.ts loads; to be replaced whole by the real reader.
export function createAuditReader(_log: unknown): never {
  const none = async () => ({ items: [] });
  return { events: none, checkpoint: none, export: none, sessionList: none, sessionGet: async () => undefined, close() {} } as never;
}
