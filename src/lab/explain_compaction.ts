// Runs of compaction in words: whose zone, why it ended, and why it never began.
import type { Kernel } from '../kernel/kernel.ts';
import { COMPACT, type CompactResult } from '../mm/compact_zone.ts';
import type { CompactionRun } from '../mm/decision_log.ts';

const RESULT_WORDS: Readonly<Record<CompactResult, string>> = {
  [COMPACT.SKIPPED]: 'not tried: too few free pages to move others to, or they are not in pieces',
  [COMPACT.DEFERRED]: 'put off, since it failed lately',
  [COMPACT.CONTINUE]: 'under way',
  [COMPACT.COMPLETE]: 'all of the zone was looked at, and no block came free',
  [COMPACT.PARTIAL_SKIPPED]:
    'the rest of the zone was looked at, and no block came free; page blocks that failed lately ' +
    'were passed over',
  [COMPACT.CONTENDED]: 'ended early: the zone has no page to spare to move others to',
  [COMPACT.SUCCESS]: 'a block is free',
};

/** Runs in words, in order; nothing for none. */
export function compactionWords(
  k: Kernel,
  runs: readonly CompactionRun[],
): { compaction?: readonly string[] } {
  if (runs.length === 0) return {};
  return { compaction: runs.map((run) => runWords(k, run)) };
}

function runWords(k: Kernel, { by, nid, zone, result, nrMoved }: CompactionRun): string {
  const where = `zone ${k.mem.zoneName(zone)} of node ${nid}`;
  if (result === undefined) return `${where}: kept off by the design (${k.design.id})`;
  const moved = nrMoved === 0 ? '' : `, ${nrMoved} ${nrMoved === 1 ? 'page' : 'pages'} moved`;
  return `${by}, ${where}${moved}: ${RESULT_WORDS[result]}`;
}
