// One running kernel: memory, tasks, groups, shared objects, devices. Everything above drives the
// model through one of these; several live side by side in one process.
// Models   linux@v6.1 as booted on a machine, with one task.
// State    owns the tables of tasks, address spaces and shared objects.
import { assert } from '../base/assert.ts';
import type { Cpu, Frame, NodeId } from '../base/ids.ts';
import { MAX_NUMNODES } from '../base/ids.ts';
import type { Design } from '../hooks/design.ts';
import type { Machine } from '../machine/machine.ts';
import type { BootPool } from '../mm/boot_pages.ts';
import { GIGANTIC_PAGE_BYTES, HUGE_PAGE_BYTES } from '../mm/huge_page_lists.ts';
import { HugePages } from '../mm/hugetlb.ts';
import type { MemCgroups } from '../mm/memcg.ts';
import { Memory, type MemoryOptions } from '../mm/memory.ts';
import type { NodeStates } from '../mm/node_states.ts';
import type { PageAllocator } from '../mm/page_alloc.ts';
import { NODE_ITEM } from '../mm/vmstat_items.ts';
import { AddressSpace } from './address_space.ts';
import { KernelCompaction } from './compaction.ts';
import type { Contents } from './contents.ts';
import { allocContig } from './contig_alloc.ts';
import { Cpuset } from './cpuset.ts';
import type { DriverBuffer } from './device_file.ts';
import type { FileInode } from './file_inode.ts';
import type { FrameWatch } from './frame_watch.ts';
import type { Pin } from './gup.ts';
import { HugeInode } from './hugetlb_area.ts';
import type { KernelBlock } from './kernel_pages.ts';
import { Khugepaged } from './khugepaged.ts';
import { Ksm } from './ksm.ts';
import { trackPages } from './lru_track.ts';
import { MemoryTiers } from './memory_tiers.ts';
import { MoveCount } from './move_count.ts';
import { NumaBalancing } from './numa_balancing.ts';
import type { Kill } from './oom.ts';
import { PlacementCount } from './placement_count.ts';
import type { KernelReclaim } from './reclaim.ts';
import { ShmemObject } from './shmem.ts';
import { Task } from './task.ts';
import { type ThpEnabled, TransparentHuge } from './thp.ts';
import { splitPmdAtEdge } from './thp_split.ts';
import type { Uevent } from './uevents.ts';

export interface KernelOptions extends MemoryOptions {
  /** MAX_NUMNODES of the kernel, 1024 unless it was configured smaller. */
  readonly maxNodes?: number | undefined;
  /** Linux 6.9's MPOL_WEIGHTED_INTERLEAVE is there, as an extension of 6.1. */
  readonly hasWeightedInterleave?: boolean | undefined;
  /** `hugepages=` on the command line. */
  readonly bootPool?: BootPool | undefined;
  /** `transparent_hugepage=` on the command line, or what the kernel was built with: never. */
  readonly transparentHugepage?: ThpEnabled | undefined;
  /** `numa_balancing=` on the command line: the mode, 0 (off, the default) to 3. */
  readonly numaBalancing?: number | undefined;
  /** Inode number that the first shared object gets. */
  readonly firstIno?: number | undefined;
  /** `cgroup_disable=memory` is not on the command line: true unless said otherwise. */
  readonly hasMemoryController?: boolean | undefined;
  /** Pages join the lists of reclaim from the start, whether anything uses them or not. */
  readonly tracksPages?: boolean | undefined;
}

export class Kernel {
  readonly machine: Machine;
  readonly design: Design;
  readonly mem: Memory;
  readonly maxNodes: number;
  readonly hasWeightedInterleave: boolean;
  readonly rootCpuset: Cpuset;
  /** The hierarchy that the cpuset controller is in, once a group has been named. */
  cpusetVersion: 1 | 2 | undefined;
  readonly tasks: Task[] = [];
  /** A kernel thread, for work that no task of the scenario does: root cpuset, default policy. */
  readonly kthread: Task;
  /** The pool of huge pages, of 2 MiB. */
  readonly huge: HugePages;
  /** The pool of gigantic pages, of 1 GiB. */
  readonly gigantic: HugePages;
  /** Transparent huge pages. */
  readonly thp: TransparentHuge;
  /** Files of huge pages that are mapped or are segments, by id. */
  readonly hugeInodes = new Map<number, HugeInode>();
  /** SysV segments of huge pages by key. */
  readonly hugeSegments = new Map<number, HugeInode>();
  /** SysV segments by key. */
  readonly segments = new Map<number, ShmemObject>();
  /** All shared objects that still hold pages or are mapped, by id. */
  readonly objects = new Map<number, ShmemObject>();
  /** Files that have a name, by it. */
  readonly files = new Map<string, FileInode | ShmemObject>();
  /** Files of the disk that have a name or are mapped, by id. */
  readonly inodes = new Map<number, FileInode>();
  /** Buffers that drivers allocated for programs, by id. */
  readonly buffers = new Map<number, DriverBuffer>();
  /** Blocks that parts of the kernel hold, by a name of theirs. */
  readonly kernelPages = new Map<string, KernelBlock[]>();
  /** Weights of weighted interleave by node id (/sys/kernel/mm/mempolicy/weighted_interleave). */
  readonly interleaveWeights = new Map<number, number>();
  /** /proc/sys/vm/zone_reclaim_mode. */
  zoneReclaimMode = 0;
  /** /proc/sys/vm/swappiness. */
  swappiness = 60;
  /** Reclaim, once there is something that it could free (startReclaim). */
  reclaim: KernelReclaim | null = null;
  /** Memory cgroups, once there is one. */
  memcg: MemCgroups | null = null;
  /** The kernel has the memory controller: not with cgroup_disable=memory. */
  readonly hasMemoryController: boolean;
  /** Address spaces in use, by id. */
  readonly spaces = new Map<number, AddressSpace>();
  /**
   * Inode numbers that shared regions are to get, by region name: those of a run to compare with.
   */
  readonly inoHints = new Map<string, number>();
  /** What the flags of every request are confined to meanwhile (current_gfp_context). */
  gfpContext = -1;
  /** Pins that are held, in the order in which they were taken. */
  pins: Pin[] = [];
  /** The zero page has been marked as broken. */
  isZeroPageBroken = false;
  /** Why the machine is lost: nothing runs any more. */
  panic: string | undefined;
  /** Pages placed, by purpose and origin of their policy. */
  readonly placements: PlacementCount;
  /** What moves pages together so that blocks come free. */
  readonly compaction: KernelCompaction;
  /** NUMA balancing, switched on or not. */
  readonly numa: NumaBalancing;
  /** KSM, running or not. */
  readonly ksm: Ksm;
  /** khugepaged, with something to do or not. */
  readonly khugepaged: Khugepaged;
  /** What is in users' pages, once something looks at it. */
  contents: Contents | undefined;
  /** Tiers of memory. */
  readonly tiers: MemoryTiers;
  /** Time since boot, ms: it passes when the controller sleeps and while tasks work. */
  nowMs = 0;
  /** Told of pages that change their frames, when somebody follows them. */
  frameWatch: FrameWatch | null = null;
  /** Pages moved, by cause. */
  readonly moves = new MoveCount();
  /**
   * Cpusets do not follow memory at once: whoever set this calls followMemory when the work that
   * tells them has run.
   */
  defersCpusetWork = false;
  /** What user space has been told of memory that came and went, in order. */
  readonly uevents: Uevent[] = [];
  /** Lines the kernel would log. */
  readonly log: string[] = [];
  /** Nodes whose memory a GPU's driver has added: it goes into ZONE_MOVABLE or not online. */
  readonly driverNodes = new Set<NodeId>();
  /** Whom the OOM killer took, and whose request it was for, in order. */
  readonly kills: Kill[] = [];
  #nextPid = 1;
  #nextSpace = 1;
  #nextObject = 1;
  #nextIno: number;

  constructor(machine: Machine, design: Design, options: KernelOptions = {}) {
    this.machine = machine;
    this.design = design;
    const { transparentHugepage = 'never' } = options;
    const keepsBlocks = transparentHugepage !== 'never';
    this.mem = new Memory(machine, design, { ...options, keepsBlocks });
    this.compaction = new KernelCompaction(this);
    this.huge = new HugePages(this.mem, HUGE_PAGE_BYTES);
    this.gigantic = new HugePages(this.mem, GIGANTIC_PAGE_BYTES);
    this.gigantic.rangeSource = (...request) => allocContig(this, this.gigantic.order, ...request);
    this.thp = new TransparentHuge(this.mem, transparentHugepage);
    this.numa = new NumaBalancing(this);
    this.numa.mode = options.numaBalancing ?? 0;
    this.ksm = new Ksm(this);
    this.khugepaged = new Khugepaged(this);
    this.tiers = new MemoryTiers(this);
    this.placements = new PlacementCount(this.mem.nrNodeIds);
    this.maxNodes = options.maxNodes ?? MAX_NUMNODES;
    this.hasWeightedInterleave = options.hasWeightedInterleave ?? false;
    this.hasMemoryController = options.hasMemoryController ?? true;
    this.#nextIno = options.firstIno ?? 1;
    this.rootCpuset = new Cpuset('', null, this.states.memory);
    this.rootCpuset.handsOn.add('cpuset');
    this.rootCpuset.oldMems = this.states.possible;
    const bootCpu = Math.min(...this.mem.onlineCpus) as Cpu;
    assert(Number.isFinite(bootCpu), 'a machine has at least one CPU');
    this.mem.stat.nodeSource(NODE_ITEM.nr_anon_transparent_hugepages, (nid) =>
      this.thp.mappedOn(nid),
    );
    this.kthread = new Task(0, 'kthread', bootCpu, this.newSpace(), this.rootCpuset, this.maxNodes);
    this.allocator.current = this.kthread;
    if (options.bootPool !== undefined) this.#fillBootPool(options.bootPool);
    if (options.giganticBootPool !== undefined) this.#adoptGigantic(options.giganticBootPool);
    if (options.tracksPages === true) trackPages(this);
  }

  get states(): NodeStates {
    return this.mem.states;
  }

  /** Both pools of huge pages. */
  get pools(): readonly HugePages[] {
    return [this.huge, this.gigantic];
  }

  /** The pool that a huge page is of, by its first frame. */
  poolOf(f: Frame): HugePages {
    return this.gigantic.nr > 0 && this.gigantic.owns(f) ? this.gigantic : this.huge;
  }

  get allocator(): PageAllocator {
    return this.mem.allocator;
  }

  newSpace(): AddressSpace {
    const space = new AddressSpace(this.#nextSpace++, this.huge.nrSmall, this.nowMs);
    space.beforeCut = (vpn) => splitPmdAtEdge(this, space, vpn);
    this.spaces.set(space.id, space);
    return space;
  }

  /** Starts a task with an empty address space on the first CPU, under the default policy. */
  newTask(name: string): Task {
    const { cpu } = this.kthread;
    return this.addTask(name, cpu, this.newSpace(), this.rootCpuset);
  }

  addTask(name: string, cpu: Cpu, mm: AddressSpace, cpuset: Cpuset): Task {
    const task = new Task(this.#nextPid++, name, cpu, mm, cpuset, this.maxNodes);
    this.tasks.push(task);
    return task;
  }

  liveTasks(): Task[] {
    return this.tasks.filter((t) => t.isAlive);
  }

  /** Makes the task the one on whose behalf the allocator works, until the next call. */
  setCurrent(task: Task): void {
    this.allocator.current = task;
  }

  /** The node of the task's CPU (numa_node_id). */
  localNode(task: Task): NodeId {
    return this.mem.nodeOfCpu[task.cpu] as NodeId;
  }

  /** Makes a shared object, with the next inode number unless one is given. */
  newObject(nrPages: number, isSegment: boolean, ino?: number): ShmemObject {
    const number = ino ?? this.#nextIno++;
    const object = new ShmemObject(this.#nextObject++, number, nrPages, isSegment);
    this.objects.set(object.id, object);
    return object;
  }
  newBufferId(): number {
    return this.#nextObject++;
  }

  /** Makes a file of the disk under its name. */
  addFile(name: string, make: (id: number, ino: number) => FileInode): void {
    const inode = make(this.#nextObject++, this.#nextIno++);
    this.inodes.set(inode.id, inode);
    this.files.set(name, inode);
  }

  /** Files of the disk that may have pages in memory, oldest first. */
  diskFiles(): IterableIterator<FileInode> {
    return this.inodes.values();
  }

  #fillBootPool(pool: BootPool): void {
    this.huge.fillAtBoot(pool);
    this.#countBootPool(this.huge, pool);
  }

  #adoptGigantic(pool: BootPool): void {
    const { frames, nrTurns } = this.mem.bootPages;
    this.gigantic.adopt(frames, nrTurns);
    this.#countBootPool(this.gigantic, pool);
  }

  #countBootPool(huge: HugePages, pool: BootPool): void {
    const from = typeof pool === 'number' ? 'default' : 'node named';
    huge.nrOf.forEach((n, nid) => {
      const isAsked = typeof pool !== 'number' && pool.has(nid as NodeId);
      if (n > 0) this.placements.count('huge page pool', from, isAsked, nid, n * huge.nrSmall);
    });
  }

  /** Makes a file for pages of a pool, with the next inode number unless one is given. */
  newHugeInode(pool: HugePages, nrPages: number, isSegment: boolean, ino?: number): HugeInode {
    const number = ino ?? this.#nextIno++;
    const inode = new HugeInode(this.#nextObject++, number, nrPages, isSegment, pool);
    this.hugeInodes.set(inode.id, inode);
    return inode;
  }
}
