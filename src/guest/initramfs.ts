// The initial file system of a guest: a cpio archive ("newc" form) with the test program as /init,
// the operations as /ops, and a console.
// Holds    GST3 equal content gives equal bytes: no times, no owners, inode numbers by position.

/** The test program and what it is to run. */
export interface InitramfsContent {
  readonly init: Uint8Array;
  readonly ops: string;
  /** Modules of the kernel that the test program loads, by name without `.ko`. */
  readonly modules?: ReadonlyMap<string, Uint8Array> | undefined;
}

interface Entry {
  readonly name: string;
  /** File type and permissions. */
  readonly mode: number;
  readonly content?: Uint8Array | undefined;
  /** Major and minor number of a device. */
  readonly device?: readonly [number, number] | undefined;
}

const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;
const TEXT = 0o100644;
const CONSOLE = 0o020600;

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');
const paddingOf = (length: number): number => (4 - (length % 4)) % 4;

/** Header, name and content of one entry, each padded to four bytes. */
function entryBytes(entry: Entry, inode: number): Buffer[] {
  const content = entry.content ?? new Uint8Array();
  const nameLength = Buffer.byteLength(entry.name) + 1;
  const [major, minor] = entry.device ?? [0, 0];
  const isDirectory = entry.mode === DIRECTORY;
  const numbers = [
    ...[inode, entry.mode, 0, 0, isDirectory ? 2 : 1, 0, content.length],
    ...[0, 0, major, minor, nameLength, 0],
  ];
  const head = `070701${numbers.map(hex).join('')}${entry.name}\0`;
  return [
    Buffer.from(head),
    Buffer.alloc(paddingOf(head.length)),
    Buffer.from(content.buffer, content.byteOffset, content.length),
    Buffer.alloc(paddingOf(content.length)),
  ];
}

/** The archive. */
export function initramfs({ init, ops, modules = new Map() }: InitramfsContent): Buffer {
  const entries: Entry[] = [
    ...['dev', 'proc', 'sys', 'tmp', 'cpuset', 'modules'].map((name) => ({
      name,
      mode: DIRECTORY,
    })),
    { name: 'dev/console', mode: CONSOLE, device: [5, 1] },
    { name: 'init', mode: PROGRAM, content: init },
    { name: 'ops', mode: TEXT, content: Buffer.from(ops) },
    ...[...modules].map(([name, content]) => ({
      name: `modules/${name}.ko`,
      mode: TEXT,
      content,
    })),
  ];
  const parts = entries.flatMap((entry, i) => entryBytes(entry, i + 1));
  return Buffer.concat([...parts, ...entryBytes({ name: 'TRAILER!!!', mode: 0 }, 0)]);
}
