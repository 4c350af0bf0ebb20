import type { ServerSessionOptions, Settings } from 'node:http2';
import type { HttpLimits } from '../connection.ts';

/** What a stream may hold for a taker that is slower; the peer stops there. Also how far ahead a far peer may send. */
export const streamWindow = 256 * 1024;
/** The same while nobody has taken a body yet, so that strangers cannot fill much memory. */
export const firstWindow = 64 * 1024 - 1;
/** In flight on one connection. node:http2 gives it back as bytes arrive; the streams' windows are what holds a peer. */
export const connectionWindow = 4 * 1024 * 1024;

/** Both sides' limits, as nghttp2 enforces them. */
export function sessionOptions(limits: HttpLimits): ServerSessionOptions {
  return {
    // Five pseudo-header fields come on top.
    maxHeaderListPairs: limits.headFields + 5,
    // What is sent has been measured by whoever received it; a frame that is refused here would end the connection.
    maxSendHeaderBlockLength: 8 * limits.headBytes,
    // MB of what waits to be sent; node:http2 refuses further streams beyond it.
    maxSessionMemory: 64,
    maxSessionInvalidFrames: 100,
    maxSessionRejectedStreams: 100,
    maxOutstandingPings: 10,
    maxSettings: 16,
    // Rapid reset (CVE-2023-44487): this many at once, and so many a second for good.
    streamResetBurst: 2 * limits.concurrent + 100,
    streamResetRate: 50,
    strictFieldWhitespaceValidation: true,
    // Which fields may come several times is a question for those who read them.
    strictSingleValueFields: false,
  };
}

export function sessionSettings(limits: HttpLimits, initialWindowSize: number): Settings {
  return { maxHeaderListSize: limits.headBytes, initialWindowSize };
}
