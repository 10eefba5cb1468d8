// The disk of a guest: an empty file system that Linux mounts as ext4, written where it is not
// zeros, so that a disk of a GiB costs its owner a few pages.
// Models   The layout on disk of the kernel's documentation (filesystems/ext4): blocks of 4 KiB,
//          groups of 128 MiB, files by extents, no journal.
// Holds    PGC9 equal sizes give equal bytes: no times, no identifiers.

const BLOCK = 4096;
const BLOCKS_PER_GROUP = 32768;
const NR_GROUPS = 8;
const INODES_PER_GROUP = 128;
const INODE_BYTES = 256;
const TABLE_BLOCKS = (INODES_PER_GROUP * INODE_BYTES) / BLOCK;
const ROOT_INODE = 2;
/** First inode number that files may have. */
const FIRST_INODE = 11;

/** Bytes of the whole disk. */
export const DISK_BYTES = NR_GROUPS * BLOCKS_PER_GROUP * BLOCK;

/** A stretch of the disk that is not zeros. */
export interface DiskStretch {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** Groups 0, 1 and powers of 3, 5, 7 hold copies of the head (sparse_super). */
const hasHead = (group: number): boolean => [0, 1, 3, 5, 7].includes(group);

interface Layout {
  readonly blockBitmap: number;
  readonly inodeBitmap: number;
  readonly inodeTable: number;
  /** Blocks of the group that are in use from the start. */
  readonly used: number;
}

function layoutOf(group: number): Layout {
  const start = group * BLOCKS_PER_GROUP + (hasHead(group) ? 2 : 0);
  const inGroup = start - group * BLOCKS_PER_GROUP + 2 + TABLE_BLOCKS;
  return {
    blockBitmap: start,
    inodeBitmap: start + 1,
    inodeTable: start + 2,
    used: group === 0 ? inGroup + 1 : inGroup,
  };
}

/** Sets the first `n` bits of a bitmap, and all from `end` on. */
function bitmap(n: number, end: number): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  for (let i = 0; i < BLOCK * 8; i++) {
    if (i < n || i >= end) bytes[i >> 3] = (bytes[i >> 3] as number) | (1 << (i & 7));
  }
  return bytes;
}

function superblock(): Uint8Array {
  const bytes = new Uint8Array(1024);
  const view = new DataView(bytes.buffer);
  const nrUsed = Array.from({ length: NR_GROUPS }, (_, g) => layoutOf(g).used);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true);
  u32(0x00, NR_GROUPS * INODES_PER_GROUP);
  u32(0x04, NR_GROUPS * BLOCKS_PER_GROUP);
  u32(0x0c, NR_GROUPS * BLOCKS_PER_GROUP - nrUsed.reduce((a, b) => a + b, 0));
  u32(0x10, NR_GROUPS * INODES_PER_GROUP - (FIRST_INODE - 1));
  u32(0x18, 2); // blocks of 1024 << 2 bytes
  u32(0x1c, 2);
  u32(0x20, BLOCKS_PER_GROUP);
  u32(0x24, BLOCKS_PER_GROUP);
  u32(0x28, INODES_PER_GROUP);
  u16(0x36, 0xffff); // mounts before a check
  u16(0x38, 0xef53);
  u16(0x3a, 1); // clean
  u16(0x3c, 1); // go on after an error
  u32(0x4c, 1);
  u32(0x54, FIRST_INODE);
  u16(0x58, INODE_BYTES);
  u32(0x60, 0x42); // types in directories, extents
  u32(0x64, 0x43); // sparse heads, large files, large inodes
  u16(0x15c, 32);
  u16(0x15e, 32);
  return bytes;
}

function groupTable(): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  const view = new DataView(bytes.buffer);
  for (let g = 0; g < NR_GROUPS; g++) {
    const { blockBitmap, inodeBitmap, inodeTable, used } = layoutOf(g);
    view.setUint32(g * 32, blockBitmap, true);
    view.setUint32(g * 32 + 4, inodeBitmap, true);
    view.setUint32(g * 32 + 8, inodeTable, true);
    view.setUint16(g * 32 + 12, BLOCKS_PER_GROUP - used, true);
    view.setUint16(g * 32 + 14, INODES_PER_GROUP - (g === 0 ? FIRST_INODE - 1 : 0), true);
    view.setUint16(g * 32 + 16, g === 0 ? 1 : 0, true);
  }
  return bytes;
}

/** The inode of the root directory, which has one block and maps it the old way. */
function rootInode(block: number): Uint8Array {
  const bytes = new Uint8Array(INODE_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0x00, 0o040755, true);
  view.setUint32(0x04, BLOCK, true);
  view.setUint16(0x1a, 2, true);
  view.setUint32(0x1c, BLOCK / 512, true);
  view.setUint32(0x28, block, true);
  view.setUint16(0x80, 32, true);
  return bytes;
}

function rootDirectory(): Uint8Array {
  const bytes = new Uint8Array(BLOCK);
  const view = new DataView(bytes.buffer);
  const entry = (at: number, length: number, name: string): void => {
    view.setUint32(at, ROOT_INODE, true);
    view.setUint16(at + 4, length, true);
    view.setUint8(at + 6, name.length);
    view.setUint8(at + 7, 2);
    for (let i = 0; i < name.length; i++) view.setUint8(at + 8 + i, name.charCodeAt(i));
  };
  entry(0, 12, '.');
  entry(12, BLOCK - 12, '..');
  return bytes;
}

/** All of the disk that is not zeros. */
export function diskStretches(): DiskStretch[] {
  const stretches: DiskStretch[] = [];
  for (let g = 0; g < NR_GROUPS; g++) {
    const start = g * BLOCKS_PER_GROUP * BLOCK;
    if (hasHead(g)) {
      stretches.push({ offset: start + (g === 0 ? 1024 : 0), bytes: superblock() });
      stretches.push({ offset: start + BLOCK, bytes: groupTable() });
    }
    const { blockBitmap, inodeBitmap, inodeTable, used } = layoutOf(g);
    const nrInodes = g === 0 ? FIRST_INODE - 1 : 0;
    stretches.push({ offset: blockBitmap * BLOCK, bytes: bitmap(used, BLOCKS_PER_GROUP) });
    stretches.push({ offset: inodeBitmap * BLOCK, bytes: bitmap(nrInodes, INODES_PER_GROUP) });
    if (g > 0) continue;
    const block = used - 1;
    const at = inodeTable * BLOCK + (ROOT_INODE - 1) * INODE_BYTES;
    stretches.push({ offset: at, bytes: rootInode(block) });
    stretches.push({ offset: block * BLOCK, bytes: rootDirectory() });
  }
  return stretches;
}
