// The walk over a zonelist against a second statement of it, zone by zone, in states drawn at
// random.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MachineShape, machineOf, machineShape } from '../../test/support/machines.ts';
import { check, share } from '../../test/support/property.ts';
import { scenarioFor } from '../../test/support/workloads.ts';
import { cpuId, type NodeId, type ZoneIndex } from '../base/ids.ts';
import { Nodemask } from '../base/nodemask.ts';
import { DESIGNS } from '../designs/index.ts';
import { stock } from '../designs/stock.ts';
import { MASK_CPUSET, MASK_NONE, MASK_REQUEST, type MaskOrigin } from '../hooks/design.ts';
import { Kernel } from '../kernel/kernel.ts';
import { stateHash } from '../kernel/state_hash.ts';
import { FAMILIES } from '../scenario/generate_weights.ts';
import { Runner } from '../scenario/runner.ts';
import { DecisionLog } from './decision_log.ts';
import {
  __GFP_DIRECT_RECLAIM,
  __GFP_HARDWALL,
  __GFP_HIGH,
  __GFP_KSWAPD_RECLAIM,
  __GFP_RETRY_MAYFAIL,
  __GFP_THISNODE,
  GFP_ATOMIC,
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  GFP_PRIVATE,
  GFP_USER,
  ZONE_MOVABLE,
  ZONE_NORMAL,
} from './gfp.ts';
import { FAILURE, type Failure } from './internal.ts';
import { NIL } from './memmap.ts';

const KINDS_OF_REQUEST = [
  GFP_HIGHUSER_MOVABLE,
  GFP_KERNEL,
  GFP_USER,
  GFP_ATOMIC,
  GFP_KERNEL | __GFP_HIGH,
  __GFP_KSWAPD_RECLAIM,
  GFP_HIGHUSER_MOVABLE | __GFP_THISNODE,
  GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL,
  GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM,
  GFP_HIGHUSER_MOVABLE | GFP_PRIVATE,
  GFP_HIGHUSER_MOVABLE | __GFP_THISNODE | GFP_PRIVATE,
];

/** How full a zone is made before the request. */
const LEVELS = [
  'empty',
  'untouched',
  'above low',
  'low',
  'above min',
  'min',
  'half of min',
] as const;
type Level = (typeof LEVELS)[number];

interface Drawn {
  readonly shape: MachineShape;
  readonly design: number;
  readonly levels: readonly Level[];
  readonly gfp: number;
  readonly start: number;
  /** Positions of nodes; undefined: no mask. */
  readonly mask: readonly number[] | undefined;
  readonly mems: readonly number[] | undefined;
  readonly cpu: number;
}

const positions = fc.array(fc.nat(7), { minLength: 1, maxLength: 4 });

const drawn: fc.Arbitrary<Drawn> = fc.record({
  shape: machineShape().map((shape) => ({
    ...shape,
    build: shape.build === 'x86_64' ? ('arm64' as const) : shape.build,
  })),
  design: fc.nat(DESIGNS.length - 1),
  levels: fc.array(fc.constantFrom(...LEVELS), { minLength: 1, maxLength: 12 }),
  gfp: fc.constantFrom(...KINDS_OF_REQUEST),
  start: fc.nat(7),
  mask: fc.option(positions, { nil: undefined }),
  mems: fc.option(positions, { nil: undefined }),
  cpu: fc.nat(7),
});

/** Takes pages of a zone away until it is as full as drawn. */
function fill(k: Kernel, z: ZoneIndex, level: Level): void {
  const { zones, buddy } = k.mem;
  const low = zones.wmarkLow[z] as number;
  const min = zones.wmarkMin[z] as number;
  const targets: Record<Level, number> = {
    empty: 0,
    untouched: zones.free[z] as number,
    'above low': low + 1,
    low,
    'above min': min + 1,
    min,
    'half of min': min - (min >> 1),
  };
  for (let order = k.mem.maxOrder; order >= 0; order--) {
    while ((zones.free[z] as number) - 2 ** order >= targets[level]) {
      if (buddy.alloc(z, order, 1, 0) === NIL) break;
    }
  }
}

interface Answer {
  readonly zone: number | undefined;
  readonly failure: Failure;
}

interface Ask {
  readonly k: Kernel;
  readonly gfp: number;
  readonly list: readonly number[];
  readonly highest: number;
  readonly mems: Nodemask;
  readonly isConfined: boolean;
}

/** Private memory, of which no cpuset says anything: a device's node that has none of N_MEMORY. */
const isOpen = (k: Kernel, nid: number): boolean =>
  !k.states.memory.has(nid) && k.mem.zones.ofNode(nid).some((z) => k.mem.zones.isManaged(z));

/** One walk: the first zone that passes every test, and how many were admitted at all. */
function walk(
  ask: Ask,
  mask: Nodemask | null,
  origin: MaskOrigin,
  rule: {
    mark: 'low' | 'min' | 'high';
    hardwall: boolean;
    cpuset: boolean;
    /** Per-CPU lists were emptied before. */
    drains?: boolean;
  },
): { zone: number | undefined; admitted: number } {
  const { k, gfp, list, highest, mems } = ask;
  const { zones } = k.mem;
  const gate = k.design.answers.zoneGate;
  const gated = gate?.gated(k.states) ?? Nodemask.EMPTY;
  let admitted = 0;
  for (const z of list) {
    const nid = zones.nid[z] as number;
    if ((zones.type[z] as number) > highest) continue;
    if (mask !== null && !mask.has(nid)) continue;
    if (
      gated.has(nid) &&
      gate?.admits((gfp & __GFP_THISNODE) !== 0, origin, (gfp & GFP_PRIVATE) !== 0) !== true
    )
      continue;
    const isInside =
      mems.has(nid) || (!rule.hardwall && k.states.memory.has(nid)) || isOpen(k, nid);
    if (rule.cpuset && ask.isConfined && !isInside) continue;
    admitted++;
    const marks = { low: zones.wmarkLow[z], min: zones.wmarkMin[z], high: zones.wmarkHigh[z] };
    let mark = marks[rule.mark] as number;
    if (rule.mark === 'min' && gfp & __GFP_HIGH) mark -= Math.floor(mark / 2);
    const isUrgent = gfp & __GFP_HIGH && !(gfp & __GFP_DIRECT_RECLAIM);
    if (rule.mark === 'min' && isUrgent) mark -= Math.floor(mark / 4);
    const reserve = zones.lowmemReserve[z * 5 + highest] as number;
    const onLists = rule.drains === true ? k.mem.pcp.countOf(z) : 0;
    if ((zones.free[z] as number) + onLists > mark + reserve) return { zone: z, admitted };
  }
  return { zone: undefined, admitted };
}

/** Where the request must be served from, or why it must fail. */
function expected(ask: Ask, mask: Nodemask | null): Answer {
  const { gfp, list, highest, mems, isConfined, k } = ask;
  const given = (zone: number): Answer => ({ zone, failure: FAILURE.NONE });
  const failed = (failure: Failure): Answer => ({ zone: undefined, failure });
  const others = k.machine.nodes.map((n) => n.id).filter((nid) => isOpen(k, nid));
  const standIn = gfp & GFP_PRIVATE ? mems.or(Nodemask.from(others)) : mems;
  const own: MaskOrigin = mask === null ? MASK_NONE : MASK_REQUEST;
  const fast = walk(
    ask,
    mask ?? (isConfined ? standIn : null),
    mask === null && isConfined ? MASK_CPUSET : own,
    {
      mark: 'low',
      hardwall: true,
      cpuset: mask !== null,
    },
  );
  if (fast.zone !== undefined) return given(fast.zone);
  const { zones } = k.mem;
  const isUsable = (z: number) =>
    (zones.type[z] as number) <= highest && (mask === null || mask.has(zones.nid[z] as number));
  if (!list.some(isUsable)) return failed(FAILURE.NO_ZONE);
  const isAtomic = (gfp & (__GFP_HIGH | __GFP_DIRECT_RECLAIM)) === __GFP_HIGH;
  const rule = {
    mark: 'min',
    hardwall: (gfp & __GFP_HARDWALL) !== 0,
    cpuset: !isAtomic,
  } as const;
  const slow = walk(ask, mask, own, rule);
  if (slow.zone !== undefined) return given(slow.zone);
  const urgent = isAtomic ? walk(ask, null, MASK_NONE, rule) : slow;
  if (urgent.zone !== undefined) return given(urgent.zone);
  const isPatient = (gfp & __GFP_DIRECT_RECLAIM) !== 0;
  if (!isPatient || gfp & (__GFP_RETRY_MAYFAIL | __GFP_THISNODE)) return failed(FAILURE.NO_RECLAIM);
  if (slow.admitted > 0) {
    const drained = walk(ask, mask, own, {
      mark: 'min',
      hardwall: (gfp & __GFP_HARDWALL) !== 0,
      cpuset: true,
      drains: true,
    });
    if (drained.zone !== undefined) return given(drained.zone);
  }
  const last = walk(ask, mask, own, { mark: 'high', hardwall: true, cpuset: true });
  if (last.zone !== undefined) return given(last.zone);
  return failed(slow.admitted > 0 ? FAILURE.NO_PAGES : FAILURE.NOT_ADMITTED);
}

/** Zones of the list that a request walks: the third one only for those that ask for it. */
function listOf(k: Kernel, nid: NodeId, gfp: number): number[] {
  const { lists } = k.mem;
  const isAlone = (gfp & __GFP_THISNODE) !== 0;
  const hasThird = k.design.answers.privateListHolds !== undefined;
  const all = gfp & GFP_PRIVATE && hasThird ? lists.private : lists.fallback;
  const zones = [...(all[nid]?.zones ?? [])];
  if (!isAlone) return zones;
  if (all === lists.fallback) return [...(lists.noFallback[nid]?.zones ?? [])];
  return zones.filter((z) => k.mem.zones.nid[z] === nid);
}

test('[ALC1] [ALC2] [ALC3] [ALC4] [ALC5] [ALC6] [ALC7] [ALC9] [ALC10] [ALC11] as said twice', () => {
  const seen = new Map<string, number>();
  check(drawn, 600, (d) => {
    const k = new Kernel(machineOf(d.shape), DESIGNS[d.design] ?? stock);
    const ids = k.machine.nodes.map((n) => n.id);
    const at = (i: number): NodeId => ids[i % ids.length] as NodeId;
    const { zones } = k.mem;
    for (let z = 0; z < zones.nr; z++) {
      fill(k, z as ZoneIndex, d.levels[z % d.levels.length] as Level);
    }
    const mask = d.mask === undefined ? null : Nodemask.from(d.mask.map(at));
    const named = Nodemask.from((d.mems ?? []).map(at)).and(k.states.memory);
    const mems = named.isEmpty() ? k.states.memory : named;
    const isConfined = d.mems !== undefined;
    k.allocator.cpusetsEnabled = isConfined;
    k.allocator.current = {
      cpu: cpuId(k.mem.onlineCpus[d.cpu % k.mem.onlineCpus.length] as number),
      memsAllowed: mems,
      hardwallMems: k.states.memory,
    };
    const nid = at(d.start);
    const isMovable = (d.gfp & GFP_HIGHUSER_MOVABLE & ~GFP_USER) !== 0;
    const highest = isMovable ? ZONE_MOVABLE : ZONE_NORMAL;
    const list = listOf(k, nid, d.gfp);
    const want = expected({ k, gfp: d.gfp, list, highest, mems, isConfined }, mask);
    const n = k.allocator.alloc(d.gfp, 0, nid, mask, 1);
    const got: Answer = {
      zone: n === 0 ? undefined : k.allocator.lastZone,
      failure: n === 0 ? k.allocator.failure : FAILURE.NONE,
    };
    expect(got).toEqual(want);
    if (n > 0) expect(k.mem.buddy.zoneOf(k.allocator.out[0] as number)).toBe(want.zone);
    const outcome = n > 0 ? 'given' : `failure ${got.failure}`;
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
  });
  // The draws reach every outcome; otherwise this test says less than it seems to.
  expect([...seen.keys()].sort()).toEqual([
    'failure 1',
    'failure 2',
    'failure 3',
    'failure 4',
    'given',
  ]);
});

describe('watching changes nothing', () => {
  test('[ALC12] [FLT3] regression: a group above memory.high frees pages between those of a run', () => {
    const empty = { gap: 0, nrCpus: 0, nrPages: 0, skew: 0, isSplit: false, kind: 'boot' as const };
    const nodes = [empty, { ...empty, nrPages: 1024 }];
    const machine = machineOf({ build: 'x86_64', nodes, distances: [10], isSymmetric: false });
    const scenario = scenarioFor(machine, { seed: 779_467, family: 'memcg', nrOps: 60 });
    const bare = new Runner(machine, stock, scenario);
    const watched = new Runner(machine, stock, scenario);
    watched.kernel.allocator.log = new DecisionLog();
    for (const op of scenario.ops) expect(watched.run(op)).toEqual(bare.run(op));
    expect(stateHash(watched.kernel)).toBe(stateHash(bare.kernel));
  });

  test.each(DESIGNS)(
    '[ALC12] a run of $id with the decision log ends in the same state',
    (design) => {
      const run = fc.record({
        shape: machineShape(),
        seed: fc.nat(1_000_000),
        family: fc.constantFrom(...FAMILIES),
      });
      check(run, share(80, DESIGNS.length), ({ shape, seed, family }) => {
        const machine = machineOf(shape);
        const scenario = scenarioFor(machine, { seed, family, nrOps: 60 });
        const [bare, watched] = [0, 1].map(() => new Runner(machine, design, scenario)) as [
          Runner,
          Runner,
        ];
        watched.kernel.allocator.log = new DecisionLog();
        for (const op of scenario.ops) {
          expect(watched.run(op)).toEqual(bare.run(op));
          expect(stateHash(watched.kernel), op.text).toBe(stateHash(bare.kernel));
        }
      });
    },
  );
});
