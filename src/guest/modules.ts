// Modules of a guest's kernel: which of them operations need, and where they are.
// Notes    A kernel image lies in boot/, its modules in lib/modules/VERSION beside that, as the
//          package is unpacked or installed.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../base/assert.ts';

/** Modules of compressed swap, in the order in which they are loaded. */
const SWAP_MODULES = ['zsmalloc', 'lzo-rle', 'zram'];

/** Modules of the disk and its file system, where the kernel does not have them built in. */
const DISK_MODULES = [
  ...['crct10dif_common', 'crc-t10dif', 'crc64', 'crc64-rocksoft', 't10-pi', 'nvme-core', 'nvme'],
  ...['crc32c_generic', 'crc16', 'mbcache', 'jbd2', 'ext4'],
];

/** Names of the modules that lines of operations need. */
export const neededModules = (ops: string): readonly string[] =>
  /^\s*sys swapon\b/m.test(ops) ? SWAP_MODULES : [];

/** Names of those that they need unless the kernel has them built in. */
export const diskModules = (hasDisk: boolean): readonly string[] => (hasDisk ? DISK_MODULES : []);

/**
 * Reads modules of a kernel by name.
 * @param kernel file of the image, `.../boot/vmlinuz-VERSION`.
 * @param ifThere likewise, but one that is not there is left out.
 * @throws UserError when one of `names` is not there.
 */
export function readModules(
  kernel: string,
  names: readonly string[],
  ifThere: readonly string[] = [],
): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  if (names.length + ifThere.length === 0) return found;
  const version = basename(kernel).replace(/^vmlinuz-/, '');
  const folder = join(dirname(dirname(kernel)), 'lib', 'modules', version);
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true }).map(String) : [];
  for (const name of [...names, ...ifThere]) {
    const file = files.find((path) => basename(path) === `${name}.ko`);
    if (file === undefined && ifThere.includes(name)) continue;
    if (file === undefined) {
      throw new UserError(
        `the operations need the kernel's module ${name}, which is not under ${folder} as ` +
          `${name}.ko: use a kernel image that lies in boot/ beside its lib/modules`,
      );
    }
    found.set(name, readFileSync(join(folder, file)));
  }
  return found;
}
