// How long a run would take: an estimate from what it moved and the figures of its machine. It is
// not a measurement, and it tells which figures it rests on and what it leaves out.
// Holds    COST2 a step takes as long as the busiest of its memories and links, and not less than
//          the longest latency among them; events are added, one after another; steps are added.
//          COST4 where a bandwidth is missing nothing is estimated; where the cost of an event is
//          missing, the event is left out and named.
import { type EventFigure, type Figure, type Figures, figureMeaning } from './figures.ts';
import type { Traffic } from './traffic.ts';

export interface StepEstimate {
  /** Absent when a bandwidth is missing. */
  readonly timeNs?: number | undefined;
  /** The figure that decided: `memory.0`, `fault.device`; absent when nothing took time. */
  readonly decidedBy?: string | undefined;
  /** Figures that it used. */
  readonly used: readonly Figure[];
  /** Names of bandwidths that are missing, without which there is no estimate. */
  readonly missing: readonly string[];
  /** Names of costs that are missing, which the estimate leaves out. */
  readonly without: readonly string[];
}

/** The estimate of a run, as part of an outcome. */
export interface Estimate {
  /** Absent when a bandwidth is missing, and for a run that used no figure. */
  readonly timeNs?: number | undefined;
  readonly figures: readonly Figure[];
  readonly missing: readonly string[];
  readonly without: readonly string[];
}

/** Estimates the time of one step, or of several that work at once and whose traffic was added. */
export function estimateStep(traffic: Traffic, figures: Figures): StepEstimate {
  const used = new Map<string, Figure>();
  const missing = new Set<string>();
  const without = new Set<string>();
  const parts: [string, number][] = [];
  const take = (name: string): Figure | undefined => {
    const figure = figures.get(name);
    if (figure !== undefined) used.set(name, figure);
    return figure;
  };
  const carry = (name: string, bytes: number): void => {
    const figure = take(name);
    if (figure === undefined) missing.add(name);
    else parts.push([name, (bytes / figure.value) * 1e9]);
  };
  for (const [nid, bytes] of traffic.memory) carry(`memory.${nid}`, bytes);
  for (const [name, bytes] of linkLoads(traffic, figures)) carry(name, bytes);
  for (const link of traffic.links.keys()) {
    const latency = take(`latency.${link}`);
    if (latency !== undefined) parts.push([latency.name, latency.value]);
  }
  const longest = parts.reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0] as [string, number]);
  let decidedBy = longest;
  let timeNs = longest[1];
  for (const [event, n] of traffic.events) {
    const cost = take(event);
    if (cost === undefined) without.add(event);
    else {
      timeNs += n * cost.value;
      if (n * cost.value > decidedBy[1]) decidedBy = [event, n * cost.value];
    }
  }
  return {
    ...(missing.size > 0 ? {} : { timeNs }),
    ...(decidedBy[0] === '' ? {} : { decidedBy: decidedBy[0] }),
    used: [...used.values()],
    missing: [...missing],
    without: [...without],
  };
}

/**
 * Bytes by link, under the name of the figure that holds for it: of the direction, or of both
 * together where only such a figure is known.
 */
function linkLoads(traffic: Traffic, figures: Figures): Map<string, number> {
  const loads = new Map<string, number>();
  for (const [link, bytes] of traffic.links) {
    const [a, b] = link.split('.').map(Number) as [number, number];
    const both = `links.${Math.min(a, b)}.${Math.max(a, b)}`;
    const name = figures.get(both) === undefined ? `link.${link}` : both;
    loads.set(name, (loads.get(name) ?? 0) + bytes);
  }
  return loads;
}

/** Adds up steps, one after another. */
export class EstimateSum {
  #timeNs = 0;
  readonly #figures = new Map<string, Figure>();
  readonly #missing = new Set<string>();
  readonly #without = new Set<string>();

  add(step: StepEstimate): void {
    this.#timeNs += step.timeNs ?? 0;
    for (const figure of step.used) this.#figures.set(figure.name, figure);
    for (const name of step.missing) this.#missing.add(name);
    for (const name of step.without) this.#without.add(name);
  }

  get estimate(): Estimate {
    const isKnown = this.#missing.size === 0 && this.#figures.size > 0;
    return {
      ...(isKnown ? { timeNs: Math.round(this.#timeNs) } : {}),
      figures: [...this.#figures.values()].sort((a, b) => (a.name < b.name ? -1 : 1)),
      missing: [...this.#missing].sort(),
      without: [...this.#without].sort(),
    };
  }
}

/** `no figure for memory of node 2 (memory.2), ...`: what an estimate lacks, in words. */
export const lackingWords = (names: readonly string[]): string =>
  names.map((name) => `${figureMeaning(name)} (${name})`).join(', ');

/** Names of the events whose cost an estimate leaves out, in words. */
export const leftOutWords = (names: readonly string[]): string =>
  names.map((name) => figureMeaning(name as EventFigure)).join(', ');
