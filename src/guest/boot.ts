// Boots one guest with a list of cases and collects what its test program says.
// Notes    A guest that says nothing for long is ended. One whose test program never began says
//          nothing about the scenario, since emulated processors do hang at boot now and then: it
//          is booted once more, with more patience. The work directory holds the initial file
//          system, the operations, the command and the serial log; it goes when the guest has, or
//          stays when asked for.
import { spawn } from 'node:child_process';
import {
  closeSync,
  createWriteStream,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DISK_BYTES, diskStretches } from './disk_image.ts';
import type { GuestMachine } from './guest_machine.ts';
import type { GuestTools } from './host.ts';
import { initramfs } from './initramfs.ts';
import { diskModules, neededModules, readModules } from './modules.ts';
import { type CaseText, type GuestOutput, opsText, ProtocolReader } from './protocol.ts';
import { qemuArguments, shellCommand } from './qemu.ts';

export interface BootOptions {
  readonly machine: GuestMachine;
  readonly cases: readonly CaseText[];
  readonly tools: GuestTools;
  /** Words at the end of the kernel's command line. */
  readonly append?: string | undefined;
  /** Keep the work directory. */
  readonly keeps?: boolean | undefined;
  /** Called when another case has ended. */
  readonly onCase?: ((nrEnded: number) => void) | undefined;
}

export interface Boot extends GuestOutput {
  readonly durationMs: number;
  /** Where it was kept. */
  readonly folder: string | undefined;
  /** Why it was ended from outside, or QEMU's own last words. */
  readonly failure: string | undefined;
}

/**
 * Silence after which a guest is taken for dead: an operation may take 15 s by itself, and one on
 * pages of 1 GiB, which have to be cleared, forty times as long on a loaded computer.
 */
const PATIENCE_MS = 45_000;
const LARGE_PATIENCE_MS = 600_000;
/** The same before the test program begins, for each attempt: a slow kernel has the second. */
const BOOT_PATIENCE_MS = [30_000, 120_000];

/** Does a case name the memory controller or its files? */
export const needsMemcg = (cases: readonly CaseText[]): boolean =>
  cases.some(({ lines }) => lines.some((line) => /\/memory\.|[+-]memory\b/.test(line)));

/** Does a case map pages of 1 GiB, or make some? */
const hasLargePages = (cases: readonly CaseText[]): boolean =>
  cases.some(({ lines }) => lines.some((line) => /hugetlb\S*-1G(?: |$)|1048576kB/.test(line)));

/** Boots a guest and waits for its end. */
export async function bootGuest(options: BootOptions): Promise<Boot> {
  const { machine, cases, tools } = options;
  const started = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'cdmlab-guest-'));
  const initrd = join(folder, 'initramfs.cpio');
  const ops = opsText(cases);
  writeFileSync(join(folder, 'ops'), ops);
  const modules = readModules(tools.kernel, neededModules(ops), diskModules(needsDisk(cases)));
  writeFileSync(initrd, initramfs({ init: readFileSync(tools.probe), ops, modules }));
  const disk = needsDisk(cases) ? join(folder, 'disk.img') : undefined;
  if (disk !== undefined) writeDisk(disk);
  const words = qemuArguments(machine, {
    accel: tools.accel,
    kernel: tools.kernel,
    initrd,
    append: options.append,
    hasMemcg: needsMemcg(cases),
    disk,
  });
  writeFileSync(join(folder, 'command'), `${shellCommand(tools.qemu, words)}\n`);
  try {
    let watched: Watched | undefined;
    const runMs = hasLargePages(cases) ? LARGE_PATIENCE_MS : PATIENCE_MS;
    for (const bootMs of BOOT_PATIENCE_MS) {
      watched = await watch(tools.qemu, words, folder, { bootMs, runMs }, options.onCase);
      if (watched.output.hasBegun || !watched.isSilent) break;
    }
    const { output, failure } = watched as Watched;
    return {
      ...output,
      durationMs: performance.now() - started,
      folder: options.keeps === true ? folder : undefined,
      failure,
    };
  } finally {
    if (options.keeps !== true) rmSync(folder, { recursive: true, force: true });
  }
}

/** A disk is there for the cases that make a file on it: it takes memory of its own. */
export const needsDisk = (cases: readonly CaseText[]): boolean =>
  cases.some(({ lines }) => lines.some((line) => /^sys mkfile (?!.* tmpfs)/.test(line)));

function writeDisk(file: string): void {
  const fd = openSync(file, 'w');
  try {
    ftruncateSync(fd, DISK_BYTES);
    for (const { offset, bytes } of diskStretches()) writeSync(fd, bytes, 0, bytes.length, offset);
  } finally {
    closeSync(fd);
  }
}

interface Watched {
  readonly output: GuestOutput;
  readonly failure: string | undefined;
  /** It was ended for its silence. */
  readonly isSilent: boolean;
}

/** Runs QEMU to its end; only ever rejects when it cannot be started. */
function watch(
  qemu: string,
  words: readonly string[],
  folder: string,
  patienceMs: { readonly bootMs: number; readonly runMs: number },
  onCase: ((nrEnded: number) => void) | undefined,
): Promise<Watched> {
  return new Promise((resolve, reject) => {
    const reader = new ProtocolReader();
    const log = createWriteStream(join(folder, 'serial.log'));
    const child = spawn(qemu, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    let failure: string | undefined;
    let complaints = '';
    let nrEnded = 0;
    let isSilent = false;
    const patience = (): NodeJS.Timeout => {
      const ms = reader.hasBegun ? patienceMs.runMs : patienceMs.bootMs;
      return setTimeout(() => {
        isSilent = true;
        failure = `the guest said nothing for ${ms / 1000} s`;
        child.kill('SIGKILL');
      }, ms);
    };
    let alarm = patience();
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text: string) => {
      clearTimeout(alarm);
      log.write(text);
      reader.push(text);
      alarm = patience();
      if (reader.nrEnded === nrEnded) return;
      nrEnded = reader.nrEnded;
      onCase?.(nrEnded);
    });
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text: string) => {
      complaints += text;
    });
    const end = (): void => {
      clearTimeout(alarm);
      log.end();
    };
    child.on('error', (error) => {
      end();
      reject(error);
    });
    child.on('close', (code) => {
      end();
      const output = reader.finish();
      if (failure === undefined && !output.isDone) {
        const why = complaints.trim().split('\n').at(-1) || output.tail.at(-1) || 'no word';
        failure = `the guest ended early (exit code ${code}): ${why}`;
      }
      resolve({ output, failure, isSilent });
    });
  });
}
