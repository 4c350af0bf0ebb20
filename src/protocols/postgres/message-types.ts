/** First byte of each message a client sends. */
export const Client = {
  Bind: 0x42, // B
  Close: 0x43, // C
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyFail: 0x66, // f
  Describe: 0x44, // D
  Execute: 0x45, // E
  Flush: 0x48, // H
  FunctionCall: 0x46, // F
  Parse: 0x50, // P
  /** PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse share it. */
  Password: 0x70, // p
  Query: 0x51, // Q
  Sync: 0x53, // S
  Terminate: 0x58, // X
} as const;

/** First byte of each message a server sends. */
export const Server = {
  Authentication: 0x52, // R
  BackendKeyData: 0x4b, // K
  BindComplete: 0x32, // 2
  CloseComplete: 0x33, // 3
  CommandComplete: 0x43, // C
  CopyBothResponse: 0x57, // W
  CopyData: 0x64, // d
  CopyDone: 0x63, // c
  CopyInResponse: 0x47, // G
  CopyOutResponse: 0x48, // H
  DataRow: 0x44, // D
  EmptyQueryResponse: 0x49, // I
  ErrorResponse: 0x45, // E
  FunctionCallResponse: 0x56, // V
  NegotiateProtocolVersion: 0x76, // v
  NoData: 0x6e, // n
  NoticeResponse: 0x4e, // N
  NotificationResponse: 0x41, // A
  ParameterDescription: 0x74, // t
  ParameterStatus: 0x53, // S
  ParseComplete: 0x31, // 1
  PortalSuspended: 0x73, // s
  ReadyForQuery: 0x5a, // Z
  RowDescription: 0x54, // T
} as const;

export type Side = 'client' | 'server';

/** Largest `length` field (which counts itself, not the type byte) that a side may send in a message of each type. */
export interface Caps {
  /** Indexed by type byte; 0 marks a type this side never sends. */
  readonly length: Int32Array;
  /** Indexed by type byte; 1 where a message over `largeOver` comes in pieces instead of being gathered. */
  readonly streamed: Uint8Array;
}

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;

/** What a client may send. `commandBytes` bounds a statement's text; `bindBytes` one set of parameters, which is held in memory. */
export function clientCaps(commandBytes: number, bindBytes = 64 * mebibyte): Caps {
  const long = Math.min(commandBytes + 300_000, gibibyte); // 65,535 parameter type OIDs come on top of the text
  return caps(
    {
      [Client.Bind]: Math.min(bindBytes, gibibyte),
      [Client.Close]: 8192,
      [Client.CopyData]: gibibyte,
      [Client.CopyDone]: 4,
      [Client.CopyFail]: 64 * 1024,
      [Client.Describe]: 8192,
      [Client.Execute]: 8192,
      [Client.Flush]: 4,
      [Client.FunctionCall]: Math.min(bindBytes, gibibyte),
      [Client.Parse]: long,
      [Client.Password]: 65_536,
      [Client.Query]: Math.min(commandBytes + 8, gibibyte),
      [Client.Sync]: 4,
      [Client.Terminate]: 4,
    },
    [Client.CopyData],
  );
}

/** What a server may send. Values may be 1 GiB (the largest PostgreSQL makes) and then stream; all else is gathered, so it is bounded. */
export const serverCaps: Caps = caps(
  {
    [Server.Authentication]: 65_536,
    [Server.BackendKeyData]: 4 + 4 + 256,
    [Server.BindComplete]: 4,
    [Server.CloseComplete]: 4,
    [Server.CommandComplete]: 1024,
    [Server.CopyBothResponse]: 8192,
    [Server.CopyData]: gibibyte + 1024,
    [Server.CopyDone]: 4,
    [Server.CopyInResponse]: 8192,
    [Server.CopyOutResponse]: 8192,
    [Server.DataRow]: gibibyte + 1024,
    [Server.EmptyQueryResponse]: 4,
    [Server.ErrorResponse]: 16 * mebibyte,
    [Server.FunctionCallResponse]: gibibyte + 1024,
    [Server.NegotiateProtocolVersion]: 65_536,
    [Server.NoData]: 4,
    [Server.NoticeResponse]: 64 * mebibyte, // the server's query tree arrives as a notice
    [Server.NotificationResponse]: 16_384,
    [Server.ParameterDescription]: 4 + 2 + 4 * 65_535,
    [Server.ParameterStatus]: 65_536,
    [Server.ParseComplete]: 4,
    [Server.PortalSuspended]: 4,
    [Server.ReadyForQuery]: 5,
    [Server.RowDescription]: mebibyte,
  },
  [Server.CopyData, Server.DataRow, Server.FunctionCallResponse],
);

function caps(lengths: Readonly<Record<number, number>>, streamed: readonly number[]): Caps {
  const length = new Int32Array(256);
  for (const [type, cap] of Object.entries(lengths)) length[Number(type)] = cap;
  const streams = new Uint8Array(256);
  for (const type of streamed) streams[type] = 1;
  return { length, streamed: streams };
}
