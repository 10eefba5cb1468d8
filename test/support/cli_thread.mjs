// The built command in a thread that stays: modules are loaded and warm after the first call, which
// is most of the time of a short one. What a launch of its own adds is for the launcher's test.
// Omits    The streams' being terminals, and environment variables that only libraries in C see.
// Holds    The environment is that of the thread: what differs in it has a thread of its own.
import { workerData } from 'node:worker_threads';

const { port, done, program } = workerData;
const { main } = await import(program);

/** Collects what is written to a stream, as a launch of the command would leave it. */
function collect(stream) {
  const pieces = [];
  stream.write = (text) => {
    pieces.push(String(text));
    return true;
  };
  return pieces;
}

async function run(args) {
  const out = collect(process.stdout);
  const err = collect(process.stderr);
  let code;
  try {
    code = await main(args);
  } catch (error) {
    err.push(`${error.stack}\n`);
    code = 70;
  }
  return { code, out: out.join(''), err: err.join('') };
}

port.on('message', async (args) => {
  port.postMessage(await run(args));
  Atomics.store(done, 0, 1);
  Atomics.notify(done, 0);
});
