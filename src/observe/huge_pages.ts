// The trees of hugepages below /sys/kernel/mm and below each node, as lines.
// Models   linux@v6.1 mm/hugetlb.c: hstate_attr_group, per_node_hstate_attr_group.
// Omits    the pool of 1 GiB pages: not modelled, and a path of it says so.
import { hasHugePages } from '../kernel/hugetlb_area.ts';
import { hasPoolDir, isHugeFile, readHugeFile } from '../kernel/hugetlb_sysfs.ts';
import { NODE_DIR } from './nodes.ts';
import type { FileKind } from './view.ts';

const DIR = 'hugepages/hugepages-2048kB';
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
      return [
        ...POOL_FILES.map((file) => `/sys/kernel/mm/${DIR}/${file}`),
        ...nodes.flatMap((nid) =>
          NODE_POOL_FILES.map((file) => `${NODE_DIR}/node${nid}/${DIR}/${file}`),
        ),
      ];
    },
  },
];
