// A thread that runs programs one call after another, each to its end before the caller goes on.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** A call takes no longer than the slowest test may. */
const PATIENCE_MS = 120_000;

/**
 * Starts a thread, which ends with the process. @param more what its environment has beside PATH.
 * @returns runs a program: one that exports `main`, or one that runs as it is imported.
 */
export function programThread(
  more: Readonly<Record<string, string>> = {},
): (file: string, hasMain: boolean, args: readonly string[]) => Ran {
  const { port1, port2 } = new MessageChannel();
  const done = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('program_thread.mjs', import.meta.url), {
    workerData: { port: port2, done },
    transferList: [port2],
    env: { PATH: process.env.PATH ?? '', XDG_CACHE_HOME: join(tmpdir(), 'none'), ...more },
    execArgv: [],
  });
  worker.unref();
  port1.unref();
  return (file, hasMain, args) => {
    Atomics.store(done, 0, 0);
    port1.postMessage({ program: pathToFileURL(file).href, hasMain, args });
    if (Atomics.wait(done, 0, 0, PATIENCE_MS) === 'timed-out') {
      throw new Error(`${file} ${args.join(' ')} took more than ${PATIENCE_MS / 1000} s`);
    }
    return receiveMessageOnPort(port1)?.message as Ran;
  };
}
