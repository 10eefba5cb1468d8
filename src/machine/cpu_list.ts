// CPU lists and CPU masks as Linux prints them in sysfs.
// Models   linux@v6.1 lib/bitmap.c: bitmap_parselist, bitmap_parse (%*pbl and %*pb).
import { type Cpu, cpuId } from '../base/ids.ts';

/** CPU numbers of the model are below this. */
export const MAX_CPUS = 4096;

/**
 * Reads `0-3,8,16-30:2/4` (also with blanks instead of commas). Returns ascending CPUs without
 * repeats, or undefined when the text is none or names a CPU that is not below MAX_CPUS.
 */
export function parseCpuList(text: string): readonly Cpu[] | undefined {
  const cpus = new Set<number>();
  for (const part of text.split(/[\s,]+/)) {
    if (part === '') continue;
    const match = /^(\d+)(?:-(\d+)(?::(\d+)\/(\d+))?)?$/.exec(part);
    if (match === null) return undefined;
    const start = Number(match[1]);
    const end = match[2] === undefined ? start : Number(match[2]);
    const used = match[3] === undefined ? 1 : Number(match[3]);
    const group = match[4] === undefined ? 1 : Number(match[4]);
    if (start > end || end >= MAX_CPUS || group === 0 || used > group) return undefined;
    for (let n = start; n <= end; n++) if ((n - start) % group < used) cpus.add(n);
  }
  return ascending(cpus);
}

/**
 * Reads a mask of hexadecimal words of 32 bits, highest first: `f,00000000` holds CPUs 32-35.
 * Returns undefined when the text is no mask or has a CPU that is not below MAX_CPUS.
 */
export function parseCpuMask(text: string): readonly Cpu[] | undefined {
  const cpus = new Set<number>();
  const words = text.trim().split(',').reverse();
  for (const [w, word] of words.entries()) {
    if (!/^[0-9a-f]{1,8}$/i.test(word)) return undefined;
    const bits = Number.parseInt(word, 16);
    for (let b = 0; b < 32; b++) if (((bits >>> b) & 1) !== 0) cpus.add(w * 32 + b);
  }
  const list = ascending(cpus);
  return (list[list.length - 1] ?? 0) < MAX_CPUS ? list : undefined;
}

/** `0-3,8`: the shortest list; empty for no CPUs. `cpus` ascends. */
export function formatCpuList(cpus: readonly number[]): string {
  const parts: string[] = [];
  for (let i = 0; i < cpus.length; ) {
    let j = i;
    while (cpus[j + 1] === (cpus[j] as number) + 1) j++;
    parts.push(i === j ? `${cpus[i]}` : `${cpus[i]}-${cpus[j]}`);
    i = j + 1;
  }
  return parts.join(',');
}

const ascending = (cpus: Iterable<number>): Cpu[] => [...cpus].sort((a, b) => a - b).map(cpuId);
