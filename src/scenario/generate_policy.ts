// What random workloads draw of nodes and policies.
import type { Prng } from '../base/prng.ts';
import type { MachineNodes } from './generate_nodes.ts';
import type { Family } from './generate_weights.ts';
import type { ModeArg, NodesArg, TaskAct } from './ops.ts';

/** Draws nodes and policies for one workload, from its own sequence. */
export class PolicyDraw {
  readonly #prng: Prng;
  readonly #nodes: MachineNodes;
  readonly #family: Family;

  constructor(prng: Prng, nodes: MachineNodes, family: Family) {
    this.#prng = prng;
    this.#nodes = nodes;
    this.#family = family;
  }

  /** Some nodes with memory, those of devices likelier; now and then one without memory. */
  someNodes(): number[] {
    const p = this.#prng;
    const { nodes, memoryNodes, deviceNodes } = this.#nodes;
    const set = new Set<number>();
    const count = p.chance(45) ? 1 : p.between(1, memoryNodes.length);
    for (let i = 0; i < count; i++) {
      const fromDevice = deviceNodes.length > 0 && p.chance(35);
      set.add(p.pick(fromDevice ? deviceNodes : memoryNodes));
    }
    if (p.chance(4)) set.add(p.pick(nodes));
    return [...set].sort((a, b) => a - b);
  }

  /**
   * Nodes of a cpuset, or to bind to. Where devices alone are its memory, a task dies at once under
   * designs that isolate the device, and the rest of a mixed workload says nothing; so a
   * node of system memory is there too. The other families have it as chance will.
   */
  livableNodes(): number[] {
    const set = this.someNodes();
    if (this.#family !== 'mixed') return set;
    const { memoryNodes, deviceNodes } = this.#nodes;
    const system = memoryNodes.filter((nid) => !deviceNodes.includes(nid));
    if (system.length === 0 || set.some((nid) => system.includes(nid))) return set;
    return [...set, this.#prng.pick(system)].sort((a, b) => a - b);
  }

  /** A policy with its nodes: sensible or, now and then, not. */
  policy(): { mode: ModeArg; nodes: NodesArg } {
    const p = this.#prng;
    const mode = p.pick([
      'default',
      'local',
      'bind',
      'bind',
      'bind',
      'preferred',
      'preferred',
      'interleave',
      'interleave',
      'preferred_many',
      'preferred_many',
    ]);
    const flags: string[] = [];
    if (p.chance(15)) flags.push('static');
    else if (p.chance(18)) flags.push('relative');
    if (p.chance(2)) flags.push(p.pick(['static', 'relative', 'numa_balancing']));
    if (this.#family === 'balance' && mode === 'bind' && p.chance(70)) flags.push('numa_balancing');
    const distinct = [...new Set(flags)];
    const needsNodes = mode !== 'default' && mode !== 'local';
    if (p.chance(3)) return { mode: { mode, flags: distinct }, nodes: p.pick(['none', 'empty']) };
    const named = () => (mode === 'bind' ? this.livableNodes() : this.someNodes());
    const nodes = needsNodes || p.chance(2) ? named() : 'none';
    return { mode: { mode, flags: needsNodes ? distinct : [] }, nodes };
  }

  /** mlockall with some of its words, or munlockall. */
  lockAll(): TaskAct {
    if (this.#prng.chance(40)) return { verb: 'munlockall' };
    const words = ['current', 'future', 'onfault'].filter(() => this.#prng.chance(55));
    return { verb: 'mlockall', words };
  }
}
