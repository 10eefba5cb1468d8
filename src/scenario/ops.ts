// The operations of the language, as data: what a line means once it is read. Scenarios, tests,
// fuzz traces, the API and runs on real kernels all produce and consume these.
// Holds    An operation keeps the text it came from; printing it gives a line that reads back the
//          same.
import type { Place } from '../base/assert.ts';

/** Region contents (FORMAT of the real-kernel runs). */
export const MMAP_KINDS = [
  'anon',
  'anon-populate',
  'anon-locked',
  'shared',
  'shm',
  'hugetlb',
  'hugetlb-noreserve',
  'hugetlb-shared',
  'shm-hugetlb',
  'hugetlb-1G',
  'hugetlb-noreserve-1G',
  'hugetlb-shared-1G',
  'shm-hugetlb-1G',
  'file',
  'file-private',
  'device',
  'text',
] as const;
export type MmapKind = (typeof MMAP_KINDS)[number];

export const MADVICE = [
  'dontneed',
  'dontneed_locked',
  'free',
  'remove',
  'populate_read',
  'populate_write',
  'wipeonfork',
  'dontfork',
  'cold',
  'pageout',
  'hugepage',
  'nohugepage',
  'collapse',
  'mergeable',
  'unmergeable',
  'hwpoison',
  'soft_offline',
] as const;
export type Madvice = (typeof MADVICE)[number];

/** Where a program tells a driver that pages belong. */
export const DEVICE_ADVICE = ['device', 'cpu', 'none'] as const;
/** Words of `device_compute` and `device_policy`. */
export const COMPUTE_WORDS = ['strided', 'random', 'hot', 'reading', 'atomic', 'shared'] as const;
/** Those that are shapes of access; one at a time. */
export const COMPUTE_SHAPES: readonly string[] = ['strided', 'random', 'hot'];
export const DEVICE_POLICY_WORDS = ['evict', 'keep'] as const;

/** What a program tells of its use of a file (posix_fadvise). */
export const FADVICE = ['dontneed', 'willneed'] as const;

/** A mode as written: a name or a raw number, with its flags as written. */
export interface ModeArg {
  /** `bind`, `preferred`, ..., or the number as text. */
  readonly mode: string;
  /** `static`, `relative`, `numa_balancing`, or raw `0x1000`. */
  readonly flags: readonly string[];
}

/**
 * Nodes as written: a list; `none` (a null pointer), `empty` (a pointer to an empty mask) or
 * `badptr` (an address that is not mapped).
 */
export type NodesArg = readonly number[] | 'none' | 'empty' | 'badptr';

/** An operation on a task: the fields say what is done; offsets and lengths count pages. */
export type TaskAct =
  | { readonly verb: 'cpu'; readonly cpu: number }
  | {
      readonly verb: 'set_mempolicy';
      readonly mode: ModeArg;
      readonly nodes: NodesArg;
      readonly maxnode?: number | undefined;
    }
  | { readonly verb: 'get_mempolicy' }
  | { readonly verb: 'policy_at'; readonly region: string; readonly offset: number }
  | { readonly verb: 'node_at'; readonly region: string; readonly offset: number }
  | { readonly verb: 'next_node' }
  | { readonly verb: 'mems_allowed' }
  | {
      readonly verb: 'get_raw';
      readonly flags: number;
      readonly maxnode: number;
      readonly region?: string | undefined;
      readonly offset?: number | undefined;
    }
  | {
      readonly verb: 'mmap';
      readonly region: string;
      readonly nrPages: number;
      readonly kind: MmapKind;
      readonly shift: number;
      /**
       * For mappings of a file: its name, and the page of it that comes first. For memory of a
       * device: the device.
       */
      readonly file?: string | undefined;
      readonly at?: number | undefined;
    }
  | {
      readonly verb: 'munmap';
      readonly region: string;
      readonly offset?: number | undefined;
      readonly nrPages?: number | undefined;
    }
  | {
      readonly verb: 'mbind';
      readonly region: string;
      readonly offset: number;
      readonly nrPages: number;
      readonly mode: ModeArg;
      readonly nodes: NodesArg;
      /** strict, move, moveall, lazy as written; raw bits added by `flags=N`. */
      readonly words: readonly string[];
      readonly rawFlags: number;
      readonly maxnode?: number | undefined;
      readonly addressOffsetBytes: number;
    }
  | {
      readonly verb: 'set_home';
      readonly region: string;
      readonly offset: number;
      readonly nrPages: number;
      readonly node: number;
      readonly flags: number;
      readonly addressOffsetBytes: number;
    }
  | {
      readonly verb: 'touch' | 'read' | 'where';
      readonly region: string;
      /** Left out: the whole region. */
      readonly offset?: number | undefined;
      readonly nrPages?: number | undefined;
    }
  /** Uses its CPU for so long, writing a byte to each page of the range, over and over. */
  | {
      readonly verb: 'work';
      readonly region: string;
      readonly offset: number;
      readonly nrPages: number;
      readonly ms: number;
    }
  /** Writes a number of 32 bits at the start of each page. */
  | {
      readonly verb: 'fill';
      readonly region: string;
      readonly offset: number;
      readonly nrPages: number;
      readonly value: number;
    }
  | {
      readonly verb: 'tables';
      readonly region: string;
      readonly offset?: number | undefined;
      readonly nrPages?: number | undefined;
    }
  | {
      readonly verb: 'move_pages';
      readonly region: string;
      readonly offset: number;
      readonly nrPages: number;
      /** Used in turn. */
      readonly nodes: readonly number[];
      readonly moveAll: boolean;
      readonly rawFlags?: number | undefined;
      readonly pid?: string | undefined;
    }
  | {
      readonly verb: 'migrate_pages';
      readonly from: NodesArg;
      readonly to: NodesArg;
      readonly pid?: string | undefined;
      readonly maxnode?: number | undefined;
    }
  | {
      readonly verb: 'madvise';
      readonly region: string;
      readonly offset: number;
      readonly nrPages: number;
      readonly advice: string;
    }
  | {
      readonly verb: 'mlock' | 'munlock' | 'pin' | 'unpin';
      readonly region: string;
      readonly offset: number;
      readonly nrPages: number;
      /** mlock: pages are locked once they are touched (MLOCK_ONFAULT). */
      readonly onFault?: true | undefined;
      /** pin: for as long as the driver wants (FOLL_LONGTERM). */
      readonly longterm?: true | undefined;
    }
  /** `current`, `future`, `onfault` as written. */
  | { readonly verb: 'mlockall'; readonly words: readonly string[] }
  | { readonly verb: 'munlockall' }
  | { readonly verb: 'swrite'; readonly path: string; readonly value: string }
  | {
      readonly verb: 'readfile' | 'writefile';
      readonly file: string;
      /** Left out: the whole file. */
      readonly offset?: number | undefined;
      readonly nrPages?: number | undefined;
    }
  | {
      readonly verb: 'fadvise';
      readonly file: string;
      readonly offset: number;
      readonly nrPages: number;
      readonly advice: (typeof FADVICE)[number];
    }
  | { readonly verb: 'fsync'; readonly file: string }
  /** A part of the kernel that the task called asks for blocks, and holds them under a name. */
  | {
      readonly verb: 'alloc_pages';
      readonly name: string;
      readonly nrBlocks: number;
      /** Names of flags: GFP_KERNEL, __GFP_NOFAIL. */
      readonly gfp: readonly string[];
      readonly order?: number | undefined;
      readonly node?: number | undefined;
    }
  | { readonly verb: 'free_pages'; readonly name: string }
  | { readonly verb: 'exit' }
  /** The device computes on a range; its driver decides where the pages are meanwhile. */
  | {
      readonly verb: 'device_compute';
      readonly device: string;
      readonly region: string;
      readonly offset?: number | undefined;
      readonly nrPages?: number | undefined;
      /** Of COMPUTE_WORDS as written; none is a stream that writes. */
      readonly words: readonly string[];
      readonly passes?: number | undefined;
      readonly stride?: number | undefined;
      readonly seed?: number | undefined;
      readonly accesses?: number | undefined;
    }
  /** Ask the device's driver to use a migration policy (see drivers/). */
  | {
      readonly verb: 'device_policy';
      readonly device: string;
      readonly policy: string;
      /** `evict` or `keep` as written. */
      readonly words: readonly string[];
      readonly threshold?: number | undefined;
      /** Bytes that an access counter counts. */
      readonly granularity?: number | undefined;
    }
  /** Bring pages to a device, or with `cpu` to the node of the task's CPU, before they are used. */
  | {
      readonly verb: 'device_prefetch';
      readonly device: string;
      readonly region: string;
      readonly offset?: number | undefined;
      readonly nrPages?: number | undefined;
    }
  /** Tell a driver where pages belong. */
  | {
      readonly verb: 'device_advise';
      readonly device: string;
      readonly region: string;
      readonly offset?: number | undefined;
      readonly nrPages?: number | undefined;
      readonly advice: (typeof DEVICE_ADVICE)[number];
    };

/** A policy of a mount as written: `bind:0,2`; `nodes` is `none` when none are given. */
export interface MountPolicyArg {
  readonly mode: ModeArg;
  readonly nodes: NodesArg;
}

/** An operation of the controller, which is under no policy and in no tested cpuset. */
export type SysAct =
  | { readonly verb: 'write'; readonly path: string; readonly value: string }
  | { readonly verb: 'read'; readonly path: string }
  | { readonly verb: 'mkdir' | 'rmdir'; readonly path: string }
  | { readonly verb: 'move'; readonly task: string; readonly cgroup: string }
  /** The memory under a page of a task breaks, or is about to. */
  | {
      readonly verb: 'poison' | 'soft_offline';
      readonly task: string;
      readonly region: string;
      readonly offset: number;
    }
  /** The link to a device goes down, and all memory of its node with it. */
  | { readonly verb: 'link_failure'; readonly node: number }
  | {
      readonly verb: 'zones' | 'free' | 'numastat' | 'states' | 'fallback' | 'tasks';
    }
  /** The pool of huge pages: of 2 MiB, or of the size named. */
  | { readonly verb: 'hugetlb'; readonly size?: '1G' | undefined }
  | {
      /** What the kernel has told user space of memory that came and went. */
      readonly verb: 'uevents';
    }
  | { readonly verb: 'sync' | 'drop_caches' }
  | {
      readonly verb: 'mkfile';
      readonly file: string;
      readonly nrPages: number;
      readonly isTmpfs: boolean;
      /** mpol= of its mount. */
      readonly mpol?: MountPolicyArg | undefined;
    }
  | { readonly verb: 'rmfile'; readonly file: string }
  | { readonly verb: 'truncate'; readonly file: string; readonly nrPages: number }
  | {
      readonly verb: 'cached';
      readonly file: string;
      /** Left out: the whole file. */
      readonly offset?: number | undefined;
      readonly nrPages?: number | undefined;
    }
  | { readonly verb: 'vmstat'; readonly keys: readonly string[] }
  | { readonly verb: 'offline_node'; readonly node: number; readonly nrBlocks?: number | undefined }
  | {
      readonly verb: 'online_node';
      readonly node: number;
      readonly zone?: 'KERNEL' | 'MOVABLE' | undefined;
      readonly nrBlocks?: number | undefined;
    }
  /** Adds the memory of a node, by the platform or by its device's driver; takes it away. */
  | { readonly verb: 'add_node'; readonly node: number; readonly isDriver?: true | undefined }
  | { readonly verb: 'remove_node'; readonly node: number }
  /** Adds a swap area; those of the highest priority are filled first. */
  | { readonly verb: 'swapon'; readonly nrPages: number; readonly priority?: number | undefined }
  | { readonly verb: 'sleep'; readonly ms: number }
  /** Waits until ksmd has been through all memory so many times more. */
  | { readonly verb: 'ksm_scans'; readonly nrScans: number };

export type Act =
  | { readonly on: 'task'; readonly task: string; readonly act: TaskAct }
  | { readonly on: 'sys'; readonly act: SysAct }
  | { readonly on: 'fork'; readonly parent: string; readonly child: string };

/** What a line says must come out; with `design`, only when the run uses that design. */
export type Expectation = {
  readonly design?: string | undefined;
} /** `-> EINVAL`, `-> 0`, `-> KILLED`, `-> LIVELOCK`: the `ret` of the result. */ & (
  | { readonly kind: 'ret'; readonly ret: string | number }
  /** `-> nodes 0:32 2:64`: how many pages of the range lie on each node; other nodes hold none. */
  | { readonly kind: 'nodes'; readonly counts: Readonly<Record<string, number>> }
  /** `-> mode bind`, `-> value 0-2`: a field of the result by name, compared as text. */
  | { readonly kind: 'field'; readonly field: string; readonly value: string }
);

/** One operation of a scenario. */
export interface Op {
  /**
   * The line in canonical form, names and parameters resolved: valid for a real kernel where `act`
   * is.
   */
  readonly text: string;
  readonly act: Act;
  readonly expect: readonly Expectation[];
  /** Where it was written; absent for operations built by the API. */
  readonly place?: Place | undefined;
}

/** A result: `ret` is 0, a count, or an errno by name; other fields depend on the operation. */
export interface OpResult {
  readonly ret: number | string;
  readonly [field: string]: unknown;
}

/** What a scenario says of an agent in user space, for designs that have one. */
export interface AgentSettings {
  /** Operations between an event and its answer, in the place of the agent's own. */
  readonly delayOps?: number | undefined;
  /** Programs that are to use devices. Left out: those that name one in the scenario. */
  readonly users?: readonly string[] | undefined;
}

export interface Scenario {
  /** `hybrid-flow`. */
  readonly name: string;
  /** One sentence: what it shows. */
  readonly title: string;
  /** Where it is from: a message of the thread, a document. */
  readonly source: string;
  /** The machine it wants when none is named, or undefined. */
  readonly machine: string | undefined;
  /**
   * Task names with their slots: T0 is the task that exists at the start. A name such as `T3` has
   * slot 3; other names take the lowest free slot in the order in which they appear. 0..15.
   */
  readonly tasks: Readonly<Record<string, number>>;
  /** Region names with their slots, likewise; the slot decides the region's address. 0..31. */
  readonly regions: Readonly<Record<string, number>>;
  readonly ops: readonly Op[];
  /** Parameters with their values in force. */
  readonly parameters: Readonly<Record<string, string>>;
  /**
   * Ids of the designs that expectations are of which name none, from an `expects` line; absent: of
   * all designs.
   */
  readonly expects?: readonly string[] | undefined;
  /** Words of the kernel's command line, from a `boot` line; absent where there is none. */
  readonly boot?: readonly string[] | undefined;
  /** From an `agent` line; absent where there is none. */
  readonly agent?: AgentSettings | undefined;
}
