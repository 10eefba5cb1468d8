// The named figures that an estimate of time is made of: bandwidths, latencies and costs of events,
// each with where it is from. A figure without a source does not exist.
// Holds    COST1 every figure has a source; what is given replaces what the machine has, and its
//          source says so.
import { UserError } from '../../base/assert.ts';
import { didYouMean } from '../../base/suggest.ts';
import type { LinkSpec, Machine } from '../../machine/machine.ts';

/** What a figure is measured in. */
export type FigureUnit = 'B/s' | 'ns';

export interface Figure {
  /** `memory.1`, `link.0.1`, `fault.device`, ...; see docs/COST.md. */
  readonly name: string;
  /** Above 0; bytes a second, or nanoseconds. */
  readonly value: number;
  readonly unit: FigureUnit;
  readonly source: string;
}

/** Costs of single events, in the order in which they are told, with what each is a cost of. */
export const EVENT_FIGURES = {
  'fault.cpu': 'a page fault of a CPU',
  'fault.device': 'a page fault of a device',
  'move.page': 'a moved page, beyond its bytes',
  'swap.page': 'a page to or from swap',
  'file.page': 'a page to or from a disk',
} as const;
export type EventFigure = keyof typeof EVENT_FIGURES;

/** Figures with numbers of nodes in their names. */
const NODE_FIGURES = ['memory', 'link', 'links', 'latency'] as const;

const NAME = /^(?:(memory)\.\d+|(link|links|latency)\.\d+\.\d+|(fault|move|swap|file)\.[a-z]+)$/;

/**
 * Costs that no machine file tells, measured on other machines than most of those modelled: good
 * for an order of magnitude.
 */
const GENERIC: readonly Figure[] = [
  {
    name: 'fault.cpu',
    value: 1013,
    unit: 'ns',
    source:
      'median of 100 first touches of a page of 4 KiB, zeroing it included, Linux 6.6, Core i7 of ' +
      'the 11th generation; its author says that some of them got huge pages ' +
      '(ddumbying.vercel.app/experiments/pagefault-latency): another machine than this',
  },
  {
    name: 'fault.device',
    value: 45_000,
    unit: 'ns',
    source:
      'typical far fault of an NVIDIA Pascal (Ganguly and others, ISCA 2019; taken over by Lin and ' +
      'others, ISCA 2025): another device than this',
  },
];

/** The figures of a machine, by name. */
export class Figures {
  readonly #byName: ReadonlyMap<string, Figure>;

  constructor(figures: Iterable<Figure>) {
    const byName = new Map<string, Figure>();
    for (const figure of figures) byName.set(figure.name, figure);
    this.#byName = byName;
  }

  get(name: string): Figure | undefined {
    return this.#byName.get(name);
  }

  /** Is there any bandwidth? Without one nothing can be estimated. */
  get hasBandwidth(): boolean {
    return [...this.#byName.values()].some((f) => f.unit === 'B/s');
  }

  /** These figures, with others in place of those of the same names. */
  with(given: readonly Figure[]): Figures {
    return new Figures([...this.#byName.values(), ...given]);
  }
}

/**
 * The figures of a machine: its links, and the generic costs of events.
 *
 * A link `from` asks, `to` answers. Where both are one place it is the bandwidth of the memory;
 * else the data goes from node `to` to the place of `from`. A device's place is its first node, or
 * its home node when it has no memory of its own.
 */
export function figuresOf(machine: Machine): Figures {
  const figures: Figure[] = [...GENERIC];
  for (const link of machine.links) {
    const at = placeOf(machine, link.from);
    const to = Number(link.to.slice('node:'.length));
    const { source } = link;
    if (link.bandwidthBytesPerS !== undefined) {
      const name = at === to ? `memory.${to}` : `link.${to}.${at}`;
      figures.push({ name, value: link.bandwidthBytesPerS, unit: 'B/s', source });
    }
    if (link.latencyNs !== undefined) {
      figures.push({ name: `latency.${to}.${at}`, value: link.latencyNs, unit: 'ns', source });
    }
  }
  return new Figures(figures);
}

/** The node at which an end of a link is. */
function placeOf(machine: Machine, end: LinkSpec['from']): number {
  const [kind, name = ''] = end.split(/:(.*)/);
  if (kind === 'device') return deviceNode(machine, name) ?? -1;
  if (kind === 'node') return Number(name);
  const node = machine.nodes.find((n) => n.cpus.map(Number).includes(Number(name)));
  return Number(node?.id ?? -1);
}

/** The node where a device is; undefined when the machine has no such device. */
export function deviceNode(machine: Machine, name: string): number | undefined {
  const own = machine.nodes.find((n) => n.device === name)?.id;
  const id = own ?? machine.devices.find((d) => d.name === name)?.homeNode;
  return id === undefined ? undefined : Number(id);
}

/** Node numbers in the name of a figure; none for the cost of an event. */
const nodesOf = (name: string): number[] =>
  isEvent(name) ? [] : name.split('.').slice(1).map(Number);

/**
 * Figures that somebody gave must be of nodes that a machine has: a wrong number would change
 * nothing, in silence.
 * @param machines the figures are for any of them.
 * @throws UserError for a figure of a node that none has.
 */
export function refuseUnknownNodes(
  figures: readonly Figure[],
  machines: readonly Pick<Machine, 'name' | 'nodes'>[],
): void {
  for (const { name } of figures) {
    const lacking = machines.map(({ nodes }) =>
      nodesOf(name).find((id) => !nodes.some((node) => Number(node.id) === id)),
    );
    if (lacking.length === 0 || lacking.includes(undefined)) continue;
    const [first] = machines;
    const whose =
      machines.length > 1
        ? 'no machine of these scenarios has all of its nodes'
        : `machine ${first?.name} has no node ${lacking[0]}; its nodes are ${first?.nodes.map((node) => node.id).join(', ')}`;
    throw new UserError(`cost "${name}": ${whose}`);
  }
}

const SCALE: Readonly<Record<string, { factor: number; unit: FigureUnit }>> = {
  'B/s': { factor: 1, unit: 'B/s' },
  'MB/s': { factor: 1e6, unit: 'B/s' },
  'GB/s': { factor: 1e9, unit: 'B/s' },
  'TB/s': { factor: 1e12, unit: 'B/s' },
  ns: { factor: 1, unit: 'ns' },
  us: { factor: 1e3, unit: 'ns' },
  ms: { factor: 1e6, unit: 'ns' },
};

/**
 * Reads a figure that somebody gives: `memory.1` and `3728GB/s`, `fault.device` and `45us`.
 * @throws UserError for a name or a value that is none.
 */
export function readFigure(name: string, text: string, source: string): Figure {
  if (!NAME.test(name) || (isEvent(name) && !Object.hasOwn(EVENT_FIGURES, name))) {
    const events = Object.keys(EVENT_FIGURES);
    // Of a name with nodes the word before them is looked at, and the nodes are kept.
    const [, word = name, nodes = ''] = /^([^.]+)((?:\.\d+)+)$/.exec(name) ?? [];
    const known = nodes === '' ? events : NODE_FIGURES.map((kind) => `${kind}${nodes}`);
    const hint = didYouMean(`${word}${nodes}`, known);
    throw new UserError(
      `no cost is called "${name}"${hint}; expected memory.N, link.A.B, links.A.B, latency.A.B, ` +
        events.join(', '),
    );
  }
  const [, a, b] = name.startsWith('links.') ? name.split('.').map(Number) : [];
  if (a !== undefined && b !== undefined && a >= b) {
    throw new UserError(`"${name}" is both directions; expected links.A.B with A below B`);
  }
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]+(?:\/s)?)?$/.exec(text.trim());
  const unit = unitOf(name);
  const scale = SCALE[match?.[2] ?? ''];
  const value = Number(match?.[1]) * (scale?.factor ?? Number.NaN);
  if (!(value > 0) || scale?.unit !== unit) {
    const example = unit === 'ns' ? '45us' : '348GB/s';
    throw new UserError(`"${text}" is no value of ${name}; expected for example ${example}`);
  }
  return { name, value, unit, source };
}

const isEvent = (name: string): boolean => /^(?:fault|move|swap|file)\./.test(name);
const unitOf = (name: string): FigureUnit =>
  isEvent(name) || name.startsWith('latency.') ? 'ns' : 'B/s';

/** `348 GB/s`, `45 us`. */
export function figureValue({ value, unit }: Figure): string {
  const [name, { factor }] = Object.entries(SCALE)
    .filter(([, s]) => s.unit === unit && value >= s.factor)
    .at(-1) ?? [unit, { factor: 1 }];
  return `${Number((value / factor).toPrecision(4))} ${name}`;
}

/** What a figure is, in words: `data from node 0 to node 1`. */
export function figureMeaning(name: string): string {
  if (Object.hasOwn(EVENT_FIGURES, name)) return EVENT_FIGURES[name as EventFigure];
  const [kind, a, b] = name.split('.');
  if (kind === 'memory') return `memory of node ${a}`;
  if (kind === 'latency') return `latency of node ${a} seen from node ${b}`;
  return kind === 'links'
    ? `data between nodes ${a} and ${b}, both ways together`
    : `data from node ${a} to node ${b}`;
}
