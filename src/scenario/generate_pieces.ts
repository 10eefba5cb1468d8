// Memory in pieces for random workloads: a node is filled, as far as it goes, and every second page
// moves away, so that huge pages need compaction.
import type { Prng } from '../base/prng.ts';
import type { Scenario } from './ops.ts';
import { parseScenario } from './parser.ts';

/** The region that is left over in pieces; workloads do not use its slot. */
const REGION = 'R30';

/** Pages of one call; a guest that is emulated has so much time for each, and no more. */
const MOVED_AT_ONCE = 6000;

/**
 * The same workload on memory in pieces.
 * @param nodes with memory; of one alone there is nowhere to move to, and nothing changes.
 * @param nrPages of the node that are taken: it may be smaller, and others are used then.
 */
export function inPieces(
  p: Prng,
  scenario: Scenario,
  nodes: readonly number[],
  nrPages: number,
): Scenario {
  const node = p.pick(nodes);
  const others = nodes.filter((nid) => nid !== node);
  if (others.length === 0) return scenario;
  const away = p.pick(others);
  // The pages that stay are the first, third, .. or the second, fourth, ..
  const turns = p.chance(50) ? `${node},${away}` : `${away},${node}`;
  const lines = [
    `T0 mmap ${REGION} ${nrPages} anon`,
    `T0 mbind ${REGION} 0 ${nrPages} preferred ${node}`,
    `T0 touch ${REGION}`,
  ];
  for (let at = 0; at < nrPages; at += MOVED_AT_ONCE) {
    lines.push(`T0 move_pages ${REGION} ${at} ${Math.min(MOVED_AT_ONCE, nrPages - at)} ${turns}`);
  }
  const { ops } = parseScenario(lines.join('\n'), { file: 'pieces', pageBytes: 4096 });
  const regions = { ...scenario.regions, [REGION]: 30 };
  return { ...scenario, regions, ops: [...ops, ...scenario.ops] };
}
