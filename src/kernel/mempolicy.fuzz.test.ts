// Policies as sets: what making and rebinding them never does, for any masks.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { check } from '../../test/support/property.ts';
import { nodeId } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import {
  MPOL_BIND,
  MPOL_DEFAULT,
  MPOL_F_NUMA_BALANCING,
  MPOL_F_RELATIVE_NODES,
  MPOL_F_STATIC_NODES,
  MPOL_INTERLEAVE,
  MPOL_LOCAL,
  MPOL_PREFERRED,
  MPOL_PREFERRED_MANY,
  MPOL_WEIGHTED_INTERLEAVE,
} from '../hooks/policy_modes.ts';
import {
  Mempolicy,
  newPolicy,
  offsetInterleaveNode,
  offsetWeightedNode,
  rebindPolicy,
  sanitizeMode,
} from './mempolicy.ts';

const SPREADING = [MPOL_BIND, MPOL_INTERLEAVE, MPOL_WEIGHTED_INTERLEAVE];
const WITH_NODES = [...SPREADING, MPOL_PREFERRED, MPOL_PREFERRED_MANY];

const someNodes = fc
  .uniqueArray(fc.oneof(fc.nat(6), fc.nat(1023)), { minLength: 1, maxLength: 6 })
  .map((nodes) => Nodemask.from(nodes));
const anyMode = fc.constantFrom(...WITH_NODES);
const anyFlags = fc.constantFrom(0, MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES);

const made = fc.record({
  mode: anyMode,
  flags: anyFlags,
  nodes: someNodes,
  memsAllowed: someNodes,
  memory: someNodes,
});

describe('making a policy', () => {
  test('[POL1] its nodes are never empty, have memory, and are allowed', () => {
    check(made, 400, ({ mode, flags, nodes, memsAllowed, memory }) => {
      const usable = memsAllowed.and(memory);
      const policy = newPolicy(mode, flags, nodes, { memsAllowed, memory });
      if (!(policy instanceof Mempolicy)) {
        expect(policy).toBe(-22);
        const isRelative = flags === MPOL_F_RELATIVE_NODES;
        expect(isRelative ? usable.isEmpty() : nodes.and(usable).isEmpty()).toBe(true);
        return;
      }
      expect(policy.nodes.isEmpty()).toBe(false);
      expect(policy.nodes.isSubsetOf(usable)).toBe(true);
      if (mode === MPOL_PREFERRED) expect(policy.nodes.weight).toBe(1);
      if (flags === 0 && mode !== MPOL_PREFERRED) {
        expect(policy.nodes.equals(nodes.and(usable))).toBe(true);
      }
    });
  });

  test('[POL2] it keeps the mask of the user when a flag asks for it, else the mems of the time', () => {
    check(made, 200, ({ mode, flags, nodes, memsAllowed, memory }) => {
      const policy = newPolicy(mode, flags, nodes, { memsAllowed, memory });
      if (!(policy instanceof Mempolicy)) return;
      expect(policy.stored.equals(flags === 0 ? memsAllowed : nodes)).toBe(true);
      expect(policy.storesUserMask).toBe(flags !== 0);
    });
  });

  test('[POL16] default is no policy, local has no nodes, and preferring none is local', () => {
    const context = { memsAllowed: Nodemask.of(0, 1), memory: Nodemask.of(0, 1) };
    expect(newPolicy(MPOL_DEFAULT, 0, Nodemask.EMPTY, context)).toBeNull();
    for (const mode of [MPOL_LOCAL, MPOL_PREFERRED]) {
      expect(newPolicy(mode, 0, Nodemask.EMPTY, context)).toMatchObject({ mode: MPOL_LOCAL });
    }
  });

  test('[POL16] a mode word is a mode and flags, of which not all go together', () => {
    expect(sanitizeMode(MPOL_BIND | MPOL_F_STATIC_NODES, 6)).toEqual({
      mode: MPOL_BIND,
      flags: MPOL_F_STATIC_NODES,
    });
    expect(sanitizeMode(MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, 6)).toBe(-22);
    expect(sanitizeMode(MPOL_INTERLEAVE | MPOL_F_NUMA_BALANCING, 6)).toBe(-22);
    expect(sanitizeMode(6, 6)).toBe(-22);
    expect(sanitizeMode(-1, 6)).toBe(-22);
    expect(sanitizeMode(0x1000 | MPOL_BIND, 6)).toBe(-22);
  });
});

/** A policy that is made and then follows a cpuset through several masks. */
const followed = fc.record({
  mode: anyMode,
  flags: anyFlags,
  nodes: someNodes,
  mems: fc.array(someNodes, { minLength: 2, maxLength: 6 }),
});

function make(mode: number, flags: number, nodes: Nodemask, mems: Nodemask): Mempolicy | undefined {
  const policy = newPolicy(mode, flags, nodes, { memsAllowed: mems, memory: mems });
  return policy instanceof Mempolicy ? policy : undefined;
}

describe('following a cpuset', () => {
  test('[POL1] [POL10] nodes are never empty, and those of spreading modes are within the mems', () => {
    check(followed, 400, ({ mode, flags, nodes, mems }) => {
      const policy = make(mode, flags, nodes, mems[0] as Nodemask);
      if (policy === undefined) return;
      for (const next of mems.slice(1)) {
        const before = policy.nodes;
        rebindPolicy(policy, next);
        expect(policy.nodes.isEmpty()).toBe(false);
        if (SPREADING.includes(mode)) expect(policy.nodes.isSubsetOf(next)).toBe(true);
        else expect(policy.nodes.equals(before)).toBe(true);
      }
    });
  });

  test('[POL10] between mems of one size, a policy without flags comes back as it was', () => {
    const drawn = someNodes.chain((from) =>
      fc.record({
        mode: fc.constantFrom(...SPREADING),
        from: fc.constant(from),
        nodes: fc.subarray(from.toArray(), { minLength: 1 }),
        to: fc
          .uniqueArray(fc.nat(1023), { minLength: from.weight, maxLength: from.weight })
          .map((list) => Nodemask.from(list)),
      }),
    );
    check(drawn, 300, ({ mode, from, nodes, to }) => {
      const policy = make(mode, 0, Nodemask.from(nodes), from) as Mempolicy;
      const before = policy.nodes;
      rebindPolicy(policy, to);
      expect(policy.nodes.weight).toBe(before.weight);
      expect(policy.stored.equals(to)).toBe(true);
      rebindPolicy(policy, from);
      expect(policy.nodes.equals(before)).toBe(true);
    });
  });

  test('[POL11] a static mask is the user mask cut to the mems, or all of them when none is left', () => {
    check(followed, 200, ({ mode, nodes, mems }) => {
      const policy = make(mode, MPOL_F_STATIC_NODES, nodes, mems[0] as Nodemask);
      if (policy === undefined || !SPREADING.includes(mode)) return;
      for (const next of mems.slice(1)) {
        rebindPolicy(policy, next);
        const cut = nodes.and(next);
        expect(policy.nodes.equals(cut.isEmpty() ? next : cut)).toBe(true);
      }
    });
  });

  test('[POL12] a relative mask depends on the user mask and the mems only, not on the way there', () => {
    check(followed, 200, ({ mode, nodes, mems }) => {
      if (!SPREADING.includes(mode)) return;
      const [first, last] = [mems[0] as Nodemask, mems.at(-1) as Nodemask];
      const long = make(mode, MPOL_F_RELATIVE_NODES, nodes, first) as Mempolicy;
      for (const next of mems.slice(1)) rebindPolicy(long, next);
      const short = make(mode, MPOL_F_RELATIVE_NODES, nodes, first) as Mempolicy;
      rebindPolicy(short, last);
      expect(long.nodes.equals(short.nodes)).toBe(true);
      expect(long.nodes.weight).toBeLessThanOrEqual(Math.min(nodes.weight, last.weight));
    });
  });

  test('[POL13] the preferred modes keep their nodes and only note the mems', () => {
    for (const mode of [MPOL_PREFERRED, MPOL_PREFERRED_MANY]) {
      const policy = make(
        mode,
        MPOL_F_STATIC_NODES,
        Nodemask.of(1),
        Nodemask.of(0, 1),
      ) as Mempolicy;
      rebindPolicy(policy, Nodemask.of(5));
      expect([String(policy.nodes), String(policy.stored)]).toEqual(['1', '5']);
    }
    rebindPolicy(null, Nodemask.of(1));
  });

  test('[POL14] an area of a group without mems of its own may be left without nodes', () => {
    const policy = make(
      MPOL_BIND,
      MPOL_F_STATIC_NODES,
      Nodemask.of(1),
      Nodemask.of(0, 1),
    ) as Mempolicy;
    rebindPolicy(policy, Nodemask.EMPTY);
    expect(policy.nodes.isEmpty()).toBe(true);
    expect(offsetInterleaveNode(policy, 7, nodeId(3))).toBe(3);
  });
});

describe('interleaving by number', () => {
  test('[POL8] the n-th page is on the n-th node, round again', () => {
    check(fc.tuple(someNodes, fc.nat(10_000)), 200, ([nodes, n]) => {
      const policy = make(MPOL_INTERLEAVE, 0, nodes, nodes) as Mempolicy;
      const list = nodes.toArray();
      expect(offsetInterleaveNode(policy, n, nodeId(0))).toBe(list[n % list.length]);
    });
  });

  test('[POL15] weighted: as many pages in a row as a node weighs, round again', () => {
    const drawn = fc.tuple(
      someNodes,
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 6 }),
      fc.nat(500),
    );
    check(drawn, 200, ([nodes, weights, n]) => {
      const policy = make(MPOL_WEIGHTED_INTERLEAVE, 0, nodes, nodes) as Mempolicy;
      const byNode = new Map(nodes.toArray().map((nid, i) => [Number(nid), weights[i] as number]));
      const round = nodes.toArray().flatMap((nid) => new Array(byNode.get(nid) ?? 1).fill(nid));
      expect(offsetWeightedNode(policy, n, nodeId(0), byNode)).toBe(round[n % round.length]);
    });
  });
});
