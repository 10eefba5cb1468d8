// The trees of hugepages below /sys/kernel/mm and below each node, as lines.
// Models   linux@v6.1 mm/hugetlb.c: hstate_attr_group, per_node_hstate_attr_group,
//          hstate_demote_attr_group.
import { hasHugePages } from '../kernel/hugetlb_area.ts';
import { hasPoolDir, isHugeFile, readHugeFile } from '../kernel/hugetlb_sysfs.ts';
import { NODE_DIR } from './nodes.ts';
import type { FileKind } from './view.ts';

/** By size in KiB; demote and demote_size are of pools that have a smaller one below them. */
const DIRS: readonly (readonly [string, readonly string[]])[] = [
  ['hugepages/hugepages-1048576kB', ['demote_size']],
  ['hugepages/hugepages-2048kB', []],
];
const POOL_FILES = [
  'free_hugepages',
  'nr_hugepages',
  'nr_hugepages_mempolicy',
  'nr_overcommit_hugepages',
  'resv_hugepages',
  'surplus_hugepages',
];
const NODE_POOL_FILES = ['free_hugepages', 'nr_hugepages', 'surplus_hugepages'];

export const HUGE_PAGE_FILES: readonly FileKind[] = [
  {
    pattern: /^(\/sys\/.*\/hugepages\/hugepages-.*)$/,
    read: ({ k }, path) => {
      if (!isHugeFile(path as string)) return undefined;
      const value = readHugeFile(k, path as string);
      return typeof value === 'number' ? undefined : `${value}\n`;
    },
    paths: ({ k }) => {
      if (!hasHugePages(k)) return [];
      const nodes = k.states.online.toArray().filter((nid) => hasPoolDir(k, nid));
      return DIRS.flatMap(([dir, extra]) => [
        ...[...extra, ...POOL_FILES].map((file) => `/sys/kernel/mm/${dir}/${file}`),
        ...nodes.flatMap((nid) =>
          [...extra, ...NODE_POOL_FILES].map((file) => `${NODE_DIR}/node${nid}/${dir}/${file}`),
        ),
      ]);
    },
  },
];
