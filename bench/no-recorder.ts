import type { Recorder } from '../src/recording/recorder.ts';

/** Stands in for src/recording/recorder.ts where the benchmark measures what recording costs (gateway-process.ts). */
export function openRecorder(): Recorder {
  return {
    open: () => ({
      request: () => undefined,
      sent: () => undefined,
      reply: () => undefined,
      close: async () => undefined,
    }),
    frames: () => undefined,
    recover: async () => 0,
    close: async () => undefined,
  };
}
