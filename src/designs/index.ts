// The list of designs: the only file that knows them all. A new design adds one line here.
import { UserError } from '../base/assert.ts';
import { didYouMean } from '../base/suggest.ts';
import type { Design } from '../hooks/design.ts';
import { skeleton } from './_skeleton.ts';
import { allocatorGate } from './allocator_gate.ts';
import { byPage } from './by_page.ts';
import { cpuset, cpusetV1 } from './cpuset_agent.ts';
import { deviceQuota } from './device_quota.ts';
import { driver } from './driver.ts';
import { hmm } from './hmm.ts';
import { hmmCoherent } from './hmm_coherent.ts';
import { hmmFiles } from './hmm_files.ts';
import { limitedNode } from './limited_node.ts';
import { markedAreas } from './marked_areas.ts';
import { memoryTiers } from './memory_tiers.ts';
import { privateNode } from './private_node.ts';
import { privateNodeV4 } from './private_node_v4.ts';
import { stock } from './stock.ts';
import { zonelist } from './zonelist.ts';

export const DESIGNS: readonly Design[] = [
  stock,
  allocatorGate,
  zonelist,
  limitedNode,
  markedAreas,
  byPage,
  driver,
  hmm,
  hmmCoherent,
  hmmFiles,
  privateNode,
  privateNodeV4,
  cpuset,
  cpusetV1,
  memoryTiers,
  deviceQuota,
  skeleton,
];

/** Stock Linux, and the three designs that the thread has patches or words for. */
export const THREAD_DESIGNS: readonly Design[] = [stock, allocatorGate, zonelist, limitedNode];

/**
 * The ten answers, in the order in which they came up; every other design is a variant of one.
 */
const MAIN_IDS = [
  'stock',
  'allocator-gate',
  'zonelist',
  'limited-node',
  'cpuset',
  'hmm',
  'hmm-coherent',
  'driver',
  'memory-tiers',
  'private-node',
];
export const MAIN_DESIGNS: readonly Design[] = MAIN_IDS.flatMap((id) =>
  DESIGNS.filter((design) => design.id === id),
);

/** Designs that a comparison runs when none are named: one table tells the whole story. */
export const DEFAULT_DESIGNS: readonly Design[] = MAIN_DESIGNS;

/** All designs that say something: the ten and their variants. */
export const EVERY_DESIGN: readonly Design[] = DESIGNS.filter((design) => design !== skeleton);

/** The design of that id; throws UserError with the ids there are. */
export function findDesign(id: string): Design {
  const found = DESIGNS.find((d) => d.id === id);
  if (found === undefined) {
    const ids = DESIGNS.map((d) => d.id).filter((known) => !known.startsWith('_'));
    const hint = didYouMean(id, ids);
    throw new UserError(`no design is called "${id}"${hint}; there are: ${ids.join(', ')}`);
  }
  return found;
}
