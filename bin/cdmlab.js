#!/usr/bin/env node
// The command `cdmlab`: checks what it needs, then hands its arguments to the built program.
// Holds    This file itself runs on old versions of Node, to be able to say that they are old.
import { existsSync } from 'node:fs';

const NEEDED = [20, 19];

/** Says what is wrong in one line. Exit code 2: the command was not run. */
function refuse(message) {
  process.stderr.write(`cdmlab: ${message}\n`);
  process.exit(2);
}

/** True when version `a` is older than version `b`; both are [major, minor]. */
const isOlder = (a, b) => a[0] < b[0] || (a[0] === b[0] && a[1] < b[1]);

// A reader that goes away early (`cdmlab ... | head`) ends the run; it is no error.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code === 'EPIPE') process.exit(process.exitCode || 0);
    throw error;
  });
}

const version = process.versions.node.split('.').map(Number);
if (isOlder(version, NEEDED)) {
  refuse(`needs Node ${NEEDED.join('.')} or newer; this is ${process.versions.node}`);
}

const program = new URL('../dist/cli/main.js', import.meta.url);
if (!existsSync(program)) refuse('run "npm ci" first (it builds the command)');

import(program.href)
  .then(({ main }) => main(process.argv.slice(2)))
  .then((exitCode) => {
    process.exitCode = exitCode;
  })
  .catch((error) => {
    // What people do wrong is told by the program itself: what arrives here is a fault of ours.
    const told = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    process.stderr.write(`cdmlab: ${told}\nThis is a bug of cdmlab, not of what you typed.`);
    const trace = 'Set CDMLAB_TRACE=1 to see where it happened.';
    process.stderr.write(` ${process.env.CDMLAB_TRACE === '1' ? error?.stack : trace}\n`);
    process.exitCode = 70;
  });
