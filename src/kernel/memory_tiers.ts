// Memory tiers: nodes sorted by how far their memory is, and where pages of a node are demoted to.
// Models   linux@v6.1 mm/memory-tiers.c: set_node_memory_tier, establish_demotion_targets,
//          node_is_toptier, next_demotion_node, node_get_allowed_targets, demotion_enabled_store;
//          drivers/dax/kmem.c as far as the distance of its memory goes.
// Omits    distances that firmware tells (HMAT, from 6.7 on), unless a design asks for them: here
//          memory is the default kind, or that of a device driver that gives it to the kernel.
// Hooks    mtCalcAdistance (mt_calc_adistance), setNodeMemoryTier (set_node_memory_tier),
//          demotionTarget (establish_demotion_targets).
// State    nothing of its own but the switch and the turn: tiers follow from the nodes' states.
// Holds    TIR1 a node with memory is in one tier, by its abstract distance. TIR2 a node's targets
//          are the nearest nodes of the next lower tier. TIR3 from tiers at or above the lowest one
//          with CPUs nothing is promoted.
import type { NodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import type { MemorySpeed } from '../hooks/design.ts';
import type { Kernel } from './kernel.ts';

/** Abstract distances in one tier (MEMTIER_CHUNK_SIZE). */
const CHUNK = 128;
/** Of memory that nobody says anything about (MEMTIER_ADISTANCE_DRAM). */
const ADISTANCE_DRAM = 4 * CHUNK + CHUNK / 2;
/** Of memory that the dax/kmem driver hands over (MEMTIER_DEFAULT_DAX_ADISTANCE). */
const ADISTANCE_KMEM = 5 * ADISTANCE_DRAM;

export interface MemoryTier {
  /** Number in its name, memory_tierN: distance by CHUNK. */
  readonly id: number;
  readonly nodes: Nodemask;
}

export class MemoryTiers {
  readonly #k: Kernel;
  /** /sys/kernel/mm/numa/demotion_enabled. */
  isDemotionEnabled = false;
  /** By node, how often a target was chosen among several. */
  readonly #turns = new Map<number, number>();

  constructor(k: Kernel) {
    this.#k = k;
  }

  /** The number of the tier that a node's memory belongs to. */
  #tierOf(nid: number): number {
    const { machine, design, states } = this.#k;
    const answer = design.answers.mtCalcAdistance;
    if (answer !== undefined) {
      const speed = this.#speedOf(nid as NodeId);
      const dram = this.#speedOf(states.cpu.first());
      return Math.floor(answer({ nid: nid as NodeId, speed, dram }, states) / CHUNK);
    }
    const node = machine.nodes.find((n) => n.id === nid);
    const distance = node?.isKmem === true ? ADISTANCE_KMEM : ADISTANCE_DRAM;
    return Math.floor(distance / CHUNK);
  }

  /** What the machine tells of a node's memory, as the nearest node with CPUs sees it. */
  #speedOf(nid: NodeId): MemorySpeed | undefined {
    const { machine, states, mem } = this.#k;
    const near = states.cpu.toArray().sort((a, b) => mem.distance(a, nid) - mem.distance(b, nid));
    for (const cpu of near) {
      const link = machine.links.find((l) => l.from === `node:${cpu}` && l.to === `node:${nid}`);
      const { latencyNs, bandwidthBytesPerS } = link ?? {};
      if (latencyNs === undefined || bandwidthBytesPerS === undefined) continue;
      return { latencyNs, bandwidthBytesPerS };
    }
    return undefined;
  }

  /** Nodes in tiers: those with memory, and those with private memory that the design lets in. */
  #members(): Nodemask {
    const { memory, privateMemory } = this.#k.states;
    if (privateMemory.isEmpty()) return memory;
    const answer = this.#k.design.answers.setNodeMemoryTier;
    const open = privateMemory.toArray().filter((nid) => answer?.(nid, this.#k.states) === true);
    return memory.or(Nodemask.from(open));
  }

  /** Tiers that hold a node with memory, the nearest first. */
  tiers(): readonly MemoryTier[] {
    const byTier = new Map<number, NodeId[]>();
    for (const nid of this.#members()) {
      const id = this.#tierOf(nid);
      byTier.set(id, [...(byTier.get(id) ?? []), nid]);
    }
    return [...byTier]
      .sort(([a], [b]) => a - b)
      .map(([id, nodes]) => ({ id, nodes: Nodemask.from(nodes) }));
  }

  /** Is the node so near that nothing is promoted from it? (node_is_toptier) */
  isTopTier(nid: number): boolean {
    const { cpu } = this.#k.states;
    if (!this.#members().has(nid)) return true;
    const withCpus = this.tiers().filter((tier) => tier.nodes.intersects(cpu));
    const lowest = withCpus.at(-1)?.id ?? 0;
    return this.#tierOf(nid) <= lowest;
  }

  /**
   * Nodes that pages of a node are demoted to first: the nearest ones of the next tier. None where
   * the tier is the last.
   */
  targetsOf(nid: NodeId): Nodemask {
    const tiers = this.tiers();
    const at = tiers.findIndex((tier) => tier.nodes.has(nid));
    const next = at < 0 ? undefined : tiers[at + 1];
    if (next === undefined) return Nodemask.EMPTY;
    const allowed = next.nodes.toArray().filter((to) => this.#mayDemote(nid, to));
    const { distance } = this.#k.mem;
    const best = Math.min(...allowed.map((to) => distance(nid, to)));
    return Nodemask.from(allowed.filter((to) => distance(nid, to) === best));
  }

  /** Nodes of all lower tiers: where pages go when the targets are full. */
  allowedTargetsOf(nid: NodeId): Nodemask {
    const tiers = this.tiers();
    const at = tiers.findIndex((tier) => tier.nodes.has(nid));
    if (at < 0) return Nodemask.EMPTY;
    const lower = tiers.slice(at + 1).flatMap((tier) => tier.nodes.toArray());
    return Nodemask.from(lower.filter((to) => this.#mayDemote(nid, to)));
  }

  #mayDemote(from: NodeId, to: NodeId): boolean {
    return this.#k.design.answers.demotionTarget?.(from, to, this.#k.states) ?? true;
  }

  /**
   * The node that the next pages of a node are demoted to, or undefined. Among several the kernel
   * draws lots; here they come in turn.
   */
  nextTarget(nid: NodeId): NodeId | undefined {
    const targets = this.targetsOf(nid).toArray();
    if (targets.length < 2) return targets[0];
    const turn = this.#turns.get(nid) ?? 0;
    this.#turns.set(nid, turn + 1);
    return targets[turn % targets.length];
  }
}
