// Judge: the design keeps its promise. No page is on a node that the promise isolates unless a
// policy or the request itself named that node.
// Holds    PRM1 every page placed unasked lies outside the nodes that the promise names. PRM2
//          memory that drivers keep holds buffers, and pages of the kinds that the promise names.
// Notes    Kernel pages and page tables are never asked for: where a device's memory is ordinary
//          boot memory, a task bound to the device puts its page tables there, and that is a
//          breach.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { ANON, DRIVER, FILE, SHMEM } from './read_state.ts';

/** Pages of one kind on an isolated node that nobody asked for. */
export interface Breach {
  readonly purpose: string;
  readonly from: string;
  readonly nid: number;
  readonly nrPages: number;
}

/**
 * Everything placed against the promise so far, since the kernel started; what it does not speak
 * of, because an agent had not answered yet, is excused.
 */
export function breaches(k: Kernel): readonly Breach[] {
  const isolated = new Set<number>(k.design.promise.isolated(k.states));
  return k.placements
    .rows()
    .map((row) => ({ ...row, nrPages: row.nrPages - k.placements.excused(row) }))
    .filter((row) => !row.isAsked && row.nrPages > 0 && isolated.has(row.nid))
    .map(({ purpose, from, nid, nrPages }) => ({ purpose, from, nid, nrPages }));
}

/** Pages that lie in memory which a driver keeps, and of a kind that the promise leaves out. */
function checkDriverMemory(k: Kernel, findings: Findings): void {
  const { inDriverMemory } = k.design.promise;
  for (const { nid, ops, stretches } of k.mem.deviceMemory.maps) {
    if (ops === undefined) continue;
    const free = new Set(ops.freeFrames());
    const nrOf = new Map<string, number>();
    for (const { start, end } of stretches) {
      for (let f = start; f < end; f++) {
        const kind = k.mem.map.kind[f] as number;
        if (free.has(f) || kind === DRIVER) continue;
        const isOfFile = kind === FILE || kind === SHMEM;
        if (isOfFile && inDriverMemory?.filePages === true) continue;
        if (kind === ANON && inDriverMemory?.privatePages === true) continue;
        const what = isOfFile ? 'of files' : kind === ANON ? 'of programs' : "of the kernel's own";
        nrOf.set(what, (nrOf.get(what) ?? 0) + 1);
      }
    }
    for (const [what, n] of nrOf) {
      findings.add(
        `${n} pages ${what} are in memory of node ${nid} that a driver keeps, ` +
          `though ${k.design.id} promises: ${k.design.promise.text}`,
      );
    }
  }
}

/** Judges the design's promise against all placements so far, and what drivers hold now. */
export function checkPromise(k: Kernel): readonly string[] {
  const findings = new Findings('promise');
  for (const { purpose, from, nid, nrPages } of breaches(k)) {
    findings.add(
      `${nrPages} pages (${purpose}, policy: ${from}) are on node ${nid}, which nobody asked for, ` +
        `though ${k.design.id} promises: ${k.design.promise.text}`,
    );
  }
  checkDriverMemory(k, findings);
  return findings.list();
}
