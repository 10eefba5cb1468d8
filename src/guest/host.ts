// What a guest needs of the computer it runs on: QEMU, a kernel image, a C compiler for the test
// program, and whether KVM works. What is missing is told with the command that brings it.
// Notes    The test program is built once for each state of its sources, into the cache.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../base/assert.ts';

const PROBE_FOLDER = fileURLToPath(new URL('../../probe', import.meta.url));
const QEMU = 'qemu-system-x86_64';

/** Where built programs and unpacked kernels are kept. */
export const cacheFolder = (): string =>
  join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cdmlab');

export type Accel = 'kvm' | 'tcg';

/** Everything that a boot needs. */
export interface GuestTools {
  readonly qemu: string;
  readonly kernel: string;
  /** The test program, built. */
  readonly probe: string;
  readonly accel: Accel;
}

/** One thing that is needed. */
export interface ToolRow {
  readonly what: string;
  /** Where it is, or undefined. */
  readonly found: string | undefined;
  /** Commands that bring it, or a remark. */
  readonly install: readonly string[];
  /** A guest runs without it, only slower. */
  readonly isOptional?: boolean | undefined;
}

/** A program of $PATH. */
function findProgram(...names: string[]): string | undefined {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const file = join(folder, name);
      if (folder !== '' && existsSync(file)) return file;
    }
  }
  return undefined;
}

/** Kernel images of Linux 6.1, the newest last: unpacked ones, else the computer's own. */
function findKernel(): string | undefined {
  const images = (folder: string, pattern: RegExp): string[] => {
    try {
      const names = readdirSync(folder).filter((name) => pattern.test(name));
      const order = new Intl.Collator('en', { numeric: true });
      return names.sort(order.compare).map((name) => join(folder, name));
    } catch {
      return [];
    }
  };
  const unpacked = images(join(cacheFolder(), 'kernel', 'boot'), /^vmlinuz-/);
  const own = images('/boot', /^vmlinuz-6\.1\./).filter(isReadable);
  return unpacked.at(-1) ?? own.at(-1);
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** The commands that unpack Debian's kernel into the cache; nothing is installed. */
export function kernelCommands(): string[] {
  const folder = join(cacheFolder(), 'kernel');
  return [
    `mkdir -p ${folder} && cd ${folder}`,
    `apt-get download $(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/ {print $2; exit}')`,
    'dpkg-deb -x linux-image-*.deb .',
  ];
}

/** What is there and what is missing. */
export function doctorRows(kernel?: string): ToolRow[] {
  const compiler = findProgram('cc', 'gcc');
  const image = kernel === undefined ? findKernel() : existsSync(kernel) ? kernel : undefined;
  const rows: ToolRow[] = [
    {
      what: 'QEMU for x86',
      found: findProgram(QEMU),
      install: ['apt-get install qemu-system-x86'],
    },
    { what: 'kernel image', found: image, install: kernelCommands() },
    { what: 'C compiler', found: compiler, install: ['apt-get install gcc'] },
    {
      what: 'static C library',
      found: compiler === undefined ? undefined : staticLibrary(compiler),
      install: ['apt-get install libc6-dev'],
    },
  ];
  return [...rows, kvmRow(rows[0]?.found, image)];
}

/** KVM, with a word on why it is of no use where its device is there. */
function kvmRow(qemu: string | undefined, image: string | undefined): ToolRow {
  const isThere = existsSync('/dev/kvm');
  const canTry = qemu !== undefined && image !== undefined;
  const isUsable =
    isThere && (canTry ? chooseAccel(qemu, image) === 'kvm' : isReadable('/dev/kvm'));
  const why = isThere && canTry ? '/dev/kvm is there, but no guest starts with it; ' : '';
  return {
    what: 'KVM',
    found: isUsable ? '/dev/kvm' : undefined,
    install: [`${why}none needed: without KVM the guest is emulated, two to three seconds a boot`],
    isOptional: true,
  };
}

/** The library that `cc -static` links with. */
function staticLibrary(compiler: string): string | undefined {
  const run = spawnSync(compiler, ['-print-file-name=libc.a'], { encoding: 'utf8' });
  const file = (run.stdout ?? '').trim();
  return file.includes('/') && existsSync(file) ? file : undefined;
}

/** Sources of the test program. */
function probeSources(): string[] {
  try {
    const names = readdirSync(PROBE_FOLDER).filter((name) => /\.[ch]$/.test(name));
    return names.sort().map((name) => join(PROBE_FOLDER, name));
  } catch {
    return [];
  }
}

/**
 * The test program, built if this state of its sources was not yet.
 * @throws UserError with what the compiler says.
 */
function buildProbe(compiler: string): string {
  const sources = probeSources();
  if (!sources.some((file) => file.endsWith('.c'))) {
    throw new UserError('the sources of the test program are not there', { file: PROBE_FOLDER });
  }
  const hash = createHash('sha256');
  for (const file of sources) hash.update(readFileSync(file)).update('\0');
  const folder = join(cacheFolder(), 'probe', hash.digest('hex').slice(0, 16));
  const built = join(folder, 'init');
  if (existsSync(built)) return built;
  mkdirSync(join(cacheFolder(), 'probe'), { recursive: true });
  const draft = mkdtempSync(join(cacheFolder(), 'probe', '.draft-'));
  const files = sources.filter((file) => file.endsWith('.c'));
  try {
    execFileSync(compiler, ['-static', '-O2', '-o', join(draft, 'init'), ...files], {
      stdio: 'pipe',
    });
    if (!existsSync(folder)) renameSync(draft, folder);
  } catch (error) {
    if (existsSync(built)) return built;
    const said = String((error as { stderr?: Buffer }).stderr ?? error).trim();
    throw new UserError(
      `the test program does not build: ${said.split('\n').slice(0, 6).join('; ')}`,
    );
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return built;
}

/** Seconds in which a kernel under KVM has to say its first word. */
const KVM_PATIENCE_S = 4;

/**
 * Whether KVM works, which its device being there does not tell: nested virtualisation may hang.
 * A kernel is started to see, once for each boot of this computer.
 */
function chooseAccel(qemu: string, kernel: string): Accel {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return 'tcg';
  }
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const memo = join(cacheFolder(), `accel-${boot}`);
  if (existsSync(memo)) return readFileSync(memo, 'utf8').trim() === 'kvm' ? 'kvm' : 'tcg';
  const words = '-M q35 -m 256 -nodefaults -display none -serial stdio -no-reboot -cpu host';
  const run = spawnSync(
    qemu,
    ['-accel', 'kvm', ...words.split(' '), '-kernel', kernel, '-append', 'console=ttyS0 panic=-1'],
    { encoding: 'utf8', timeout: KVM_PATIENCE_S * 1000, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const accel = /Linux version/.test(run.stdout ?? '') ? 'kvm' : 'tcg';
  mkdirSync(cacheFolder(), { recursive: true });
  writeFileSync(memo, `${accel}\n`);
  return accel;
}

/**
 * All that a boot needs.
 * @throws UserError that names what is missing and points at `cdmlab kernel doctor`.
 */
export function guestTools(options: {
  kernel?: string | undefined;
  accel?: Accel | undefined;
}): GuestTools {
  const { kernel } = options;
  if (kernel !== undefined && !isReadable(kernel)) {
    throw new UserError('no such kernel image, or it cannot be read', { file: kernel });
  }
  const rows = doctorRows(kernel);
  const missing = rows.filter((row) => row.isOptional !== true && row.found === undefined);
  if (missing.length > 0) {
    const what = missing.map((row) => row.what).join(', ');
    throw new UserError(
      `missing for a guest: ${what}. \`cdmlab kernel doctor\` says how to get it`,
    );
  }
  const found = (what: string): string => rows.find((row) => row.what === what)?.found as string;
  const qemu = found('QEMU for x86');
  const image = found('kernel image');
  return {
    qemu,
    kernel: image,
    probe: buildProbe(found('C compiler')),
    accel: options.accel ?? chooseAccel(qemu, image),
  };
}
