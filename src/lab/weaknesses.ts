// What others said against each design, as data: the mail or document, and its point in our words.
// Pages of docs/designs are made of this.
import type { DesignSource } from '../hooks/design.ts';

export interface Weakness {
  readonly source: DesignSource;
  /** One sentence, in our words. */
  readonly text: string;
}

const THREAD = 'Re: [PATCH V3 0/4] Define coherent device memory node';
const ZONELISTS = 'Re: [PATCH 1/2] mm: Change generic FALLBACK zonelist creation process';
const PRICE = '[RFC v5] Private Memory NUMA Nodes';

const said = (author: string, date: string, text: string, title = THREAD): Weakness => ({
  source: { author, date, title },
  text,
});

/** By the id of a design; a variant has what is said against it alone. */
const WEAKNESSES: Readonly<Record<string, readonly Weakness[]>> = {
  stock: [
    said(
      'Anshuman Khandual',
      '2017-02-15',
      'Allocations of programs that know nothing of the device come to it implicitly.',
      '[PATCH V3 0/4] Define coherent device memory node',
    ),
    said(
      'Swiss National Supercomputing Centre',
      '2025',
      'Page cache on the HBM of GH200 nodes was not given back, until the GPU had no memory.',
      'cscs-docs, docs/running/known-issues.md',
    ),
  ],
  'allocator-gate': [
    said('Mel Gorman', '2017-02-15', 'It tests for one kind of device in the paths of every page.'),
    said(
      'Mel Gorman',
      '2017-02-17',
      'Handing the original mask through the allocator is crude and easily broken again.',
    ),
    said('Michal Hocko', '2017-02-21', 'Nobody is asked who may take how much.'),
    said(
      'Anshuman Khandual',
      '2017-02-21',
      'A task-wide bind, the only policy with a mask, takes text and libraries along.',
    ),
    said(
      'Gregory Price',
      '2026-07-20',
      '__GFP_THISNODE opens the gate to kernel code that never thought of devices.',
      PRICE,
    ),
  ],
  zonelist: [
    said(
      'Dave Hansen',
      '2017-01-30',
      'It is a policy built into the kernel: what of a device with most of the memory?',
      'review of the RFC V2 of the series, linked from the thread',
    ),
    said(
      'Anshuman Khandual',
      '2017-03-08',
      'MPOL_BIND depends on the first node of the mask, and on where the CPU is.',
      '[PATCH 2/2] mm: Change mbind(MPOL_BIND) implementation for CDM nodes',
    ),
    said(
      'John Hubbard',
      '2017-03-08',
      "A device's own list goes on to RAM: what is a little too much there eats system memory.",
      ZONELISTS,
    ),
  ],
  'limited-node': [
    said(
      'John Hubbard',
      '2017-03-15',
      'No oversubscription: the allocation fails, where fault and evict is wanted.',
      ZONELISTS,
    ),
    said(
      'Gregory Price',
      '2026-07-20',
      'Kernel memory that is asked for on such a node has nowhere to go.',
      PRICE,
    ),
  ],
  cpuset: [
    said(
      'Anshuman Khandual',
      '2017-02-21',
      'Somebody has to react to each node that is added, and to keep all cpusets up to date.',
    ),
    said(
      'Anshuman Khandual',
      '2017-02-21',
      'A cpuset is of a whole task: text and libraries come along.',
    ),
    said(
      'Michal Hocko',
      '2017-02-22',
      'A cpuset overrides the policy, so a buffer that asks for the device never gets there.',
    ),
    said('Balbir Singh', '2017-03-01', 'Several tasks refuse to change their cpuset.'),
    said(
      'Gregory Price',
      '2026-07-20',
      'Cpusets and policies as they are do not suffice to isolate a node.',
      PRICE,
    ),
  ],
  hmm: [
    said(
      'Anshuman Khandual',
      '2017-02-21',
      'Programs cannot ask for the device by mmap and mbind; only some anonymous memory goes there.',
    ),
    said('Jerome Glisse', '2017-02-24', 'Pages there cannot be on an LRU list.'),
    said(
      'Jerome Glisse',
      '2017-02-22',
      'CPUs cannot reach the memory: each use by one brings the page back.',
    ),
  ],
  'hmm-coherent': [
    said(
      'Jerome Glisse',
      '2017-02-24',
      'Not on the LRU, so many parts of the kernel do not see it.',
    ),
    said(
      'Jerome Glisse',
      '2017-02-23',
      'Nobody may pin it for long; what is pinned leaves the device.',
    ),
    said(
      'Gregory Price',
      '2026-07-20',
      'Every driver is its own page allocator, and its own reclaim.',
      PRICE,
    ),
  ],
  driver: [
    said(
      'Jerome Glisse',
      '2017-02-22',
      'What a program allocates otherwise, lists and trees included, has to be copied.',
    ),
    said(
      'NVIDIA',
      '2025-10-14',
      'System memory is never migrated to the device, and numactl and mbind do not see it.',
      'Understanding Memory Management on Hardware-Coherent Platforms',
    ),
    said('Gregory Price', '2026-07-20', 'It leaves every user to an allocator of its own.', PRICE),
  ],
  'memory-tiers': [
    said(
      'Linux',
      '2021-06',
      'Demotion breaks out of cpusets, and should be off where those have to hold.',
      'Documentation/ABI/testing/sysfs-kernel-mm-numa',
    ),
    said(
      'Jerome Glisse',
      '2017-02-23',
      'Reclaim cannot know which memory a device uses: it sees CPUs only.',
    ),
  ],
  'private-node': [
    said(
      'Gregory Price',
      '2026-07-20',
      'Every loop over nodes has to know of them, and the interface changed at each posting.',
      PRICE,
    ),
    said('Gregory Price', '2026-07-20', 'Cpusets have no say over such a node.', PRICE),
  ],
  'marked-areas': [
    said(
      'Jerome Glisse',
      '2017-02-21',
      'Merging and balancing are matters of a page, not of an area that is fragmented.',
    ),
  ],
};

export const weaknessesOf = (design: string): readonly Weakness[] => WEAKNESSES[design] ?? [];
