// /proc/meminfo and the meminfo files of nodes.
// Models   linux@v6.1 fs/proc/meminfo.c: meminfo_proc_show; drivers/base/node.c: node_read_meminfo;
//          mm/page_alloc.c: si_mem_available; mm/hugetlb.c: hugetlb_report_meminfo.
// Omits    Buffers, Committed_AS, the vmalloc area, per-CPU memory: 0, since nothing of it is
//          modelled (SPEC PRC8).

import { onlineNode, pathsOfNodes } from './nodes.ts';
import { type FileKind, fileAt, left, right, type View } from './view.ts';
import { reservedPages } from './vmstat_text.ts';

/** Size of the vmalloc area in KiB on x86-64 with four levels of page tables. */
const VMALLOC_TOTAL_KB = 34359738367;
const OVERCOMMIT_RATIO = 50;

type Row = readonly [name: string, kb: number];

const row = ([name, kb]: Row): string => `${left(`${name}:`, 16)}${right(kb, 8)} kB\n`;
const countRow = ([name, n]: Row): string => `${left(`${name}:`, 16)}${right(n, 8)}\n`;

/** Pages that can be had without swapping: free, and what the page cache can give back. */
function availablePages(view: View): number {
  const { counters } = view;
  const { zones } = view.k.mem;
  const low = zones.wmarkLow.reduce((sum, n) => sum + n, 0);
  const free = counters.total('nr_free_pages') - reservedPages(view);
  const cache = counters.total('nr_active_file') + counters.total('nr_inactive_file');
  const slab = counters.total('nr_slab_reclaimable') + counters.total('nr_kernel_misc_reclaimable');
  const usable = (pages: number): number => pages - Math.min(Math.floor(pages / 2), low);
  return Math.max(0, free + usable(cache) + usable(slab));
}

const managedPages = ({ k }: View): number => k.mem.zones.managed.reduce((sum, n) => sum + n, 0);

function procMeminfo(view: View): string {
  const { k, counters } = view;
  const kb = (name: Parameters<typeof counters.total>[0]): number => view.kb(counters.total(name));
  const { huge } = k;
  const { swap } = k.mem;
  const hugePages = k.pools.reduce((n, pool) => n + pool.nr * pool.nrSmall, 0);
  const totalPages = managedPages(view);
  const commit = Math.floor(((totalPages - hugePages) * OVERCOMMIT_RATIO) / 100);
  const reclaimable = kb('nr_slab_reclaimable');
  const sizes: Row[] = [
    ['MemTotal', view.kb(totalPages)],
    ['MemFree', kb('nr_free_pages')],
    ['MemAvailable', view.kb(availablePages(view))],
    ['Buffers', 0],
    ['Cached', kb('nr_file_pages') - kb('nr_swapcached')],
    ['SwapCached', kb('nr_swapcached')],
    ['Active', kb('nr_active_anon') + kb('nr_active_file')],
    ['Inactive', kb('nr_inactive_anon') + kb('nr_inactive_file')],
    ['Active(anon)', kb('nr_active_anon')],
    ['Inactive(anon)', kb('nr_inactive_anon')],
    ['Active(file)', kb('nr_active_file')],
    ['Inactive(file)', kb('nr_inactive_file')],
    ['Unevictable', kb('nr_unevictable')],
    ['Mlocked', kb('nr_mlock')],
    ['SwapTotal', view.kb(swap.nrSlots)],
    ['SwapFree', view.kb(swap.nrFree)],
    ['Dirty', kb('nr_dirty')],
    ['Writeback', kb('nr_writeback')],
    ['AnonPages', kb('nr_anon_pages')],
    ['Mapped', kb('nr_mapped')],
    ['Shmem', kb('nr_shmem')],
    ['KReclaimable', reclaimable + kb('nr_kernel_misc_reclaimable')],
    ['Slab', reclaimable + kb('nr_slab_unreclaimable')],
    ['SReclaimable', reclaimable],
    ['SUnreclaim', kb('nr_slab_unreclaimable')],
    ['KernelStack', counters.total('nr_kernel_stack')],
    ['PageTables', kb('nr_page_table_pages')],
    ['SecPageTables', kb('nr_sec_page_table_pages')],
    ['NFS_Unstable', 0],
    ['Bounce', kb('nr_bounce')],
    ['WritebackTmp', kb('nr_writeback_temp')],
    ['CommitLimit', view.kb(commit + swap.nrSlots)],
    ['Committed_AS', 0],
    ['VmallocTotal', VMALLOC_TOTAL_KB],
    ['VmallocUsed', 0],
    ['VmallocChunk', 0],
    ['Percpu', 0],
    ['AnonHugePages', kb('nr_anon_transparent_hugepages')],
    ['ShmemHugePages', kb('nr_shmem_hugepages')],
    ['ShmemPmdMapped', kb('nr_shmem_pmdmapped')],
    ['FileHugePages', kb('nr_file_hugepages')],
    ['FilePmdMapped', kb('nr_file_pmdmapped')],
  ];
  const counts: Row[] = [
    ['HugePages_Total', huge.nr],
    ['HugePages_Free', huge.free],
    ['HugePages_Rsvd', huge.reserved],
    ['HugePages_Surp', huge.surplus],
  ];
  const last: Row[] = [
    ['Hugepagesize', view.kb(huge.nrSmall)],
    ['Hugetlb', view.kb(hugePages)],
    ...directMap(view),
  ];
  return [...sizes.map(row), ...counts.map(countRow), ...last.map(row)].join('');
}

/** How x86 maps memory for the kernel: whole 2 MiB large, the rest small. */
function directMap(view: View): Row[] {
  const { k } = view;
  if (k.machine.arch !== 'x86_64') return [];
  const presentKb = view.kb(k.mem.zones.present.reduce((sum, n) => sum + n, 0));
  const smallKb = presentKb % 2048;
  return [
    ['DirectMap4k', smallKb],
    ['DirectMap2M', presentKb - smallKb],
    ['DirectMap1G', 0],
  ];
}

/** Rows of a node's file that stand one column to the left of the others. */
const NARROW = new Set(['FileHugePages', 'FilePmdMapped']);

function nodeMeminfo(view: View, nid: number): string {
  const { k, counters } = view;
  const { huge } = k;
  const kb = (name: Parameters<typeof counters.ofNode>[0]): number =>
    view.kb(counters.ofNode(name, nid));
  const total = view.kb(
    k.mem.zones.ofNode(nid).reduce((sum, z) => sum + (k.mem.zones.managed[z] as number), 0),
  );
  const reclaimable = kb('nr_slab_reclaimable');
  const sizes: Row[] = [
    ['MemTotal', total],
    ['MemFree', kb('nr_free_pages')],
    ['MemUsed', total - kb('nr_free_pages')],
    ['SwapCached', kb('nr_swapcached')],
    ['Active', kb('nr_active_anon') + kb('nr_active_file')],
    ['Inactive', kb('nr_inactive_anon') + kb('nr_inactive_file')],
    ['Active(anon)', kb('nr_active_anon')],
    ['Inactive(anon)', kb('nr_inactive_anon')],
    ['Active(file)', kb('nr_active_file')],
    ['Inactive(file)', kb('nr_inactive_file')],
    ['Unevictable', kb('nr_unevictable')],
    ['Mlocked', kb('nr_mlock')],
    ['Dirty', kb('nr_dirty')],
    ['Writeback', kb('nr_writeback')],
    ['FilePages', kb('nr_file_pages')],
    ['Mapped', kb('nr_mapped')],
    ['AnonPages', kb('nr_anon_pages')],
    ['Shmem', kb('nr_shmem')],
    ['KernelStack', counters.node('nr_kernel_stack', nid)],
    ['PageTables', kb('nr_page_table_pages')],
    ['SecPageTables', kb('nr_sec_page_table_pages')],
    ['NFS_Unstable', 0],
    ['Bounce', kb('nr_bounce')],
    ['WritebackTmp', kb('nr_writeback_temp')],
    ['KReclaimable', reclaimable + kb('nr_kernel_misc_reclaimable')],
    ['Slab', reclaimable + kb('nr_slab_unreclaimable')],
    ['SReclaimable', reclaimable],
    ['SUnreclaim', kb('nr_slab_unreclaimable')],
    ['AnonHugePages', kb('nr_anon_transparent_hugepages')],
    ['ShmemHugePages', kb('nr_shmem_hugepages')],
    ['ShmemPmdMapped', kb('nr_shmem_pmdmapped')],
    ['FileHugePages', kb('nr_file_hugepages')],
    ['FilePmdMapped', kb('nr_file_pmdmapped')],
  ];
  const head = `Node ${nid} `;
  const pool: Row[] = [
    ['HugePages_Total', huge.nrOf[nid] as number],
    ['HugePages_Free', huge.freeOf[nid] as number],
    ['HugePages_Surp', huge.surplusOf[nid] as number],
  ];
  return [
    ...sizes.map(([name, n]) => {
      const width = NARROW.has(name) ? 14 : 15;
      return `${head}${left(`${name}:`, width)} ${right(n, 8)} kB\n`;
    }),
    ...pool.map(([name, n]) => `${head}${left(`${name}:`, 16)} ${right(n, 5)}\n`),
  ].join('');
}

export const MEMINFO_FILES: readonly FileKind[] = [
  fileAt('/proc/meminfo', procMeminfo),
  {
    pattern: /^\/sys\/devices\/system\/node\/node(\d+)\/meminfo$/,
    read: (view, id) => {
      const nid = onlineNode(view, id);
      return nid === undefined ? undefined : nodeMeminfo(view, nid);
    },
    paths: (view) => pathsOfNodes(view, 'meminfo'),
  },
];
