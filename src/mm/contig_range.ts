// Where in a zone a stretch of memory larger than any buddy block could be: aligned to its size,
// all of it in the zone, none of it what boot has set apart.
// Models   linux@v6.1 mm/page_alloc.c: alloc_contig_pages, zone_spans_last_pfn,
//          pfn_range_valid_contig.
// Notes    What boot took of a zone (present and not managed) is the table of its frames above
//          all, and memblock gives from the top: those pages are at the zone's end. The model has
//          them at its beginning, which no counter shows.
// Holds    CTG1 stretches ascend by address and do not overlap.
import type { Frame, ZoneIndex } from '../base/ids.ts';
import type { Memory } from './memory.ts';

interface Stretch {
  readonly start: number;
  end: number;
}

/** First frames of all stretches of `nrPages` in a zone that boot has not set apart, ascending. */
export function contigStarts(mem: Memory, z: ZoneIndex, nrPages: number): Frame[] {
  const starts: Frame[] = [];
  for (const { start, end } of withoutReserved(mem, z)) {
    if (start >= end) continue;
    const startPfn = mem.pfnOf(start as Frame);
    const first = Math.ceil(startPfn / nrPages) * nrPages - startPfn;
    for (let f = start + first; f + nrPages <= end; f += nrPages) starts.push(f as Frame);
  }
  return starts;
}

function withoutReserved(mem: Memory, z: ZoneIndex): Stretch[] {
  const { present, managed } = mem.zones;
  const stretches = joined(mem, z);
  let nrReserved = (present[z] as number) - (managed[z] as number);
  for (const stretch of [...stretches].reverse()) {
    const cut = Math.min(nrReserved, stretch.end - stretch.start);
    stretch.end -= cut;
    nrReserved -= cut;
  }
  return stretches;
}

/** The zone's stretches; memory blocks that lie side by side are one. */
function joined(mem: Memory, z: ZoneIndex): Stretch[] {
  const stretches: Stretch[] = [];
  for (const { start, end } of mem.stretchesOf(z)) {
    const last = stretches.at(-1);
    const isNext =
      last !== undefined &&
      last.end === start &&
      mem.pfnOf((start - 1) as Frame) + 1 === mem.pfnOf(start as Frame);
    if (isNext) last.end = end;
    else stretches.push({ start, end });
  }
  return stretches;
}
