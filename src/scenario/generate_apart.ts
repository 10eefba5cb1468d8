// Random workloads that are drawn by themselves, and not by weights: memory cgroups, huge pages
// that are swapped, pages of 1 GiB.
import { Prng } from '../base/prng.ts';
import type { Draft } from './finish.ts';
import { giganticDrafts } from './generate_gigantic.ts';
import { memcgDrafts } from './generate_memcg.ts';
import type { MachineNodes } from './generate_nodes.ts';
import { thpSwapDrafts } from './generate_thp_swap.ts';
import type { Family } from './generate_weights.ts';

interface Wanted extends MachineNodes {
  readonly family: Family;
  readonly seed: string | number;
  readonly ops: number;
}

/** The operations of a family that stands apart; undefined for any other. */
export function draftsApart(wanted: Wanted): readonly Draft[] | undefined {
  const { family, seed, ops } = wanted;
  const p = new Prng(`generate/${family}/${seed}`);
  if (family === 'memcg') return memcgDrafts(p, wanted, ops);
  if (family === 'thpswap') return thpSwapDrafts(p, wanted, ops);
  return family === 'gigantic' ? giganticDrafts(p, wanted, ops) : undefined;
}
