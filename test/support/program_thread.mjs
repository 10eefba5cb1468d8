// Programs in a thread that stays: their modules are loaded and warm after the first call, which is
// most of the time of a short one. What a launch of its own adds is for the launcher's test.
// Omits    The streams' being terminals, and environment variables that only libraries in C see.
// Holds    The environment is that of the thread: what differs in it has a thread of its own.
import { workerData } from 'node:worker_threads';

const { port, done } = workerData;

/** Collects what is written to a stream, as a launch of the program would leave it. */
function collect(stream) {
  const pieces = [];
  stream.write = (text) => {
    pieces.push(String(text));
    return true;
  };
  return pieces;
}

class Exit extends Error {}
process.exit = (code) => {
  process.exitCode = code;
  throw new Exit();
};

let nrCalls = 0;

/** The exit code of a program: what its `main` returns, or of one that runs as it is imported. */
async function exitCodeOf({ program, hasMain, args }) {
  if (hasMain) return (await import(program)).main(args);
  process.argv = [process.execPath, program, ...args];
  process.exitCode = 0;
  try {
    await import(`${program}?${nrCalls++}`);
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
  }
  return process.exitCode;
}

async function run(call) {
  const out = collect(process.stdout);
  const err = collect(process.stderr);
  let code;
  try {
    code = await exitCodeOf(call);
  } catch (error) {
    err.push(`${error.stack}\n`);
    code = 70;
  }
  process.exitCode = 0;
  return { code, out: out.join(''), err: err.join('') };
}

port.on('message', async (call) => {
  port.postMessage(await run(call));
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
});
