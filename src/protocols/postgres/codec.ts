/** Bytes ⇄ messages of the PostgreSQL protocol, versions 3.0 and 3.2 (PostgreSQL manual, “Frontend/Backend Protocol”). No sockets. */
export * from './client-messages.ts';
export * from './message-reader.ts';
export * from './message-types.ts';
export * from './server-messages.ts';
export * from './startup-packets.ts';
