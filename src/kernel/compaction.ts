// Compaction of one kernel: bound to page tables, objects and the design, and to the files by which
// it is asked for and set.
// Models   linux@v6.1 mm/compaction.c: isolate_migratepages_block as far as it asks of a page,
//          compact_nodes, compact_store, sysctl_compaction_handler,
//          compaction_proactiveness_sysctl_handler.
// Hooks    compactZone, kcompactdRuns, isolateMigratepagesBlock.
// Holds    CPT7 pages that somebody else has isolated, to move them or to reclaim them, stay.
import { EINVAL } from '../base/errno.ts';
import type { Frame, NodeId } from '../base/ids.ts';
import type { DesignAnswers } from '../hooks/design.ts';
import { Compaction } from '../mm/compaction.ts';
import { LRU_SWAPCACHE, LRU_UNEVICTABLE_PAGE, LRU_WRITEBACK } from '../mm/lru.ts';
import { KIND_ANON, KIND_FILE, KIND_SHMEM } from '../mm/memmap.ts';
import type { AddressSpace } from './address_space.ts';
import { asDaemon } from './daemons.ts';
import type { Kernel } from './kernel.ts';
import { trackPages } from './lru_track.ts';
import { moveFrame } from './migrate.ts';
import { forEachMapping } from './rmap.ts';

const NODE_FILE = /^\/sys\/devices\/system\/node\/node(\d+)\/compact$/;
const NUMBER = /^\s*\d+\s*$/;
const BYTES_OF_HUGE = 2 * 1024 * 1024;

/** Pages that are being moved, for which a set is made when compaction asks. */
interface Isolated {
  readonly frames: readonly Frame[];
  set: ReadonlySet<Frame> | undefined;
}

function isAmong(isolated: Isolated, f: Frame): boolean {
  isolated.set ??= new Set(isolated.frames);
  return isolated.set.has(f);
}

export class KernelCompaction {
  readonly core: Compaction;
  /** /proc/sys/vm/compact_unevictable_allowed: 1 unless the kernel was built for real time. */
  movesUnevictable = true;
  readonly #k: Kernel;
  /** Pages that are being moved meanwhile, by the call that does it. */
  readonly #isolated: Isolated[] = [];
  readonly #ask: DesignAnswers['isolateMigratepagesBlock'];
  /** What a design is asked about, one page after another. */
  readonly #asked = { nid: 0 as NodeId, isMarked: false };
  readonly #noteMark = (space: AddressSpace, vpn: number): void => {
    if (space.lookup(vpn)?.isMarked === true) this.#asked.isMarked = true;
  };

  constructor(k: Kernel) {
    this.#k = k;
    this.#ask = k.design.answers.isolateMigratepagesBlock;
    const { mem, design } = k;
    const { zones, buddy, pcp, stat } = mem;
    this.core = new Compaction({
      zones,
      buddy,
      pcp,
      stat,
      hugeOrder: Math.log2(BYTES_OF_HUGE / mem.pageBytes),
      pages: {
        canIsolate: (f) => this.#canIsolate(f as Frame),
        move: (f, target) => this.#move(f, target),
      },
      free: (f) => k.allocator.free(f),
      cpu: () => k.allocator.current.cpu,
      gate: {
        mayCompact: (nid) => design.answers.compactZone?.(nid as NodeId, k.states) ?? true,
        kswapdRuns: (nid) => design.answers.kswapdRuns?.(nid as NodeId, k.states) ?? true,
        daemonRuns: (nid) => design.answers.kcompactdRuns?.(nid as NodeId, k.states) ?? true,
      },
      reclaimablePages: (z) => k.reclaim?.vmscan.reclaimablePages(z) ?? 0,
      asDaemon: (nid, run) => asDaemon(k, nid, run),
      note: (note) => k.allocator.log?.noteCompaction(note),
    });
    k.allocator.compaction = this.core;
  }

  /** Pages have been taken off their lists to be moved (isolate_lru_page). */
  isolate(frames: readonly Frame[]): void {
    this.#isolated.push({ frames, set: undefined });
  }

  /** Those that were isolated last are where they belong (putback_movable_pages). */
  putBack(): void {
    this.#isolated.pop();
  }

  #canIsolate(f: Frame): boolean {
    const { map, lru, held } = this.#k.mem;
    const kind = map.kind[f] as number;
    if (kind !== KIND_ANON && kind !== KIND_SHMEM && kind !== KIND_FILE) return false;
    if (lru.isTracking || kind === KIND_FILE) {
      if (!lru.isListed(f) || lru.has(f, LRU_WRITEBACK)) return false;
      if (!this.movesUnevictable && lru.has(f, LRU_UNEVICTABLE_PAGE)) return false;
    }
    const hasMapping = kind !== KIND_ANON || (lru.isInUse && lru.has(f, LRU_SWAPCACHE));
    if (!hasMapping && held.isPinned(f)) return false;
    for (let i = 0; i < this.#isolated.length; i++) {
      if (isAmong(this.#isolated[i] as Isolated, f)) return false;
    }
    return this.#ask === undefined || this.#isLetBy(f);
  }

  /** Does the design let the page move, by its node and the areas that map it? */
  #isLetBy(f: Frame): boolean {
    const asked = this.#asked;
    asked.nid = this.#k.allocator.nidOf(f);
    asked.isMarked = false;
    forEachMapping(this.#k, f, this.#noteMark);
    return this.#ask?.(asked, this.#k.states) ?? true;
  }

  #move(f: Frame, target: Frame): boolean {
    const k = this.#k;
    if (k.mem.held.isPinned(f)) return false;
    k.mem.charges?.handOver(f, target);
    moveFrame(k, f, target, 'compaction');
    return true;
  }

  /** Compacts every node that is online, or one. */
  compactNodes(nodes: Iterable<number>): void {
    this.#k.setCurrent(this.#k.kthread);
    for (const nid of nodes) this.core.compactNode(nid);
  }

  /** Time has passed. */
  pass(): void {
    this.core.pass(this.#k.states.online, this.#k.nowMs);
  }

  // ---- Files ---------------------------------------------------------------------------------

  /** Writes a setting of /proc/sys/vm. Returns 0 or -EINVAL; undefined for another setting. */
  writeSysctl(name: string, value: string): number | undefined {
    if (name === 'compact_memory') {
      this.compactNodes(this.#k.states.online);
      return 0;
    }
    const most = MOST[name];
    if (most === undefined) return undefined;
    const number = Number(value);
    if (!NUMBER.test(value) || number > most) return -EINVAL;
    if (name === 'extfrag_threshold') this.core.state.extfragThreshold = number;
    else if (name === 'compact_unevictable_allowed') {
      this.movesUnevictable = number === 1;
      if (!this.movesUnevictable) trackPages(this.#k);
    } else {
      this.core.proactiveness = number;
      if (number > 0) this.core.checkNow(this.#k.states.online);
    }
    return 0;
  }

  /** What a setting reads as; undefined for another one. */
  readSysctl(name: string): string | undefined {
    if (name === 'extfrag_threshold') return String(this.core.state.extfragThreshold);
    if (name === 'compact_unevictable_allowed') return this.movesUnevictable ? '1' : '0';
    return name === 'compaction_proactiveness' ? String(this.core.proactiveness) : undefined;
  }
}

/** Settings, with the greatest number that each takes. */
const MOST: Readonly<Record<string, number>> = {
  compact_unevictable_allowed: 1,
  compaction_proactiveness: 100,
  extfrag_threshold: 1000,
};

/** The node that a file is for, to which anything may be written; undefined for other files. */
export function compactFileNode(k: Kernel, path: string): number | undefined {
  const match = NODE_FILE.exec(path);
  if (match === null) return undefined;
  const nid = Number(match[1]);
  return k.states.online.has(nid) ? nid : undefined;
}
