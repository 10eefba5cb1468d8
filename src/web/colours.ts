// One colour a node, everywhere on the page. System memory is blue, green or grey; device memory
// is warm, and striped where it fills an area, so that no reader depends on hue alone.
// Holds    COL1 within a family any two colours stay apart for readers with protanopia,
//          deuteranopia and tritanopia (the test computes it). COL2 text on a colour has a
//          contrast of 4.5 or more. COL3 the same machine gives the same colours.
import type { MachineSummary } from '../lab/comparison.ts';
import { type Html, html } from './html.ts';

/** A colour and the ink that is legible on it. */
export interface Swatch {
  readonly fill: string;
  readonly ink: string;
}

const WHITE = '#ffffff';
const INK = '#101317';
const onWhite = (fill: string): Swatch => ({ fill, ink: WHITE });
const onInk = (fill: string): Swatch => ({ fill, ink: INK });

export interface Palette {
  readonly system: readonly Swatch[];
  readonly device: readonly Swatch[];
}

/** In the order in which nodes take them; found by a search for the largest least distance. */
export const LIGHT: Palette = {
  system: [
    onInk('#5583d6'),
    onInk('#9bdecf'),
    onWhite('#626e7e'),
    onInk('#66b9e2'),
    onWhite('#2e604c'),
    onWhite('#373e47'),
  ],
  device: [
    onInk('#e97907'),
    onInk('#fbc535'),
    onWhite('#790006'),
    onInk('#b57d7b'),
    onWhite('#845a11'),
    onInk('#bab18d'),
  ],
};

export const DARK: Palette = {
  system: [
    onInk('#6799f0'),
    onInk('#b9eae1'),
    onWhite('#5b6b79'),
    onInk('#8ac6fd'),
    onInk('#588b7b'),
    onInk('#bbbec0'),
  ],
  device: [
    onInk('#ec7e10'),
    onInk('#f5c850'),
    onWhite('#9e2924'),
    onInk('#c3918d'),
    onWhite('#996835'),
    onInk('#fdeaaf'),
  ],
};

export type SummaryNode = MachineSummary['nodes'][number];

/** Neither memory nor CPUs: a number that firmware keeps free. */
export const isEmptyNode = (node: SummaryNode): boolean =>
  node.sizeBytes === 0 && node.cpus.length === 0;

/** The nodes of a machine with the class names that colour them. */
export class NodeColours {
  readonly machine: MachineSummary;
  readonly #slots = new Map<number, string>();
  readonly #devices = new Map<number, string>();
  /** More nodes of a family than colours: some share one. */
  readonly isRepeating: boolean;

  constructor(machine: MachineSummary) {
    this.machine = machine;
    let nrSystem = 0;
    let nrDevice = 0;
    for (const node of machine.nodes) {
      if (node.device !== undefined) this.#devices.set(node.id, node.device);
      if (isEmptyNode(node)) continue;
      const slot =
        node.device === undefined
          ? `s${nrSystem++ % LIGHT.system.length}`
          : `d${nrDevice++ % LIGHT.device.length}`;
      this.#slots.set(node.id, slot);
    }
    this.isRepeating = nrSystem > LIGHT.system.length || nrDevice > LIGHT.device.length;
  }

  isDevice(nid: number): boolean {
    return this.#devices.has(nid);
  }

  /** `gpu0`, or undefined for system memory. */
  deviceOf(nid: number): string | undefined {
    return this.#devices.get(nid);
  }

  /** Class names for an element in the colour of a node. */
  classOf(nid: number): string {
    const slot = this.#slots.get(nid) ?? 'none';
    return this.isDevice(nid) ? `node c-${slot} device` : `node c-${slot}`;
  }

  /** Nodes that have a colour, ascending. */
  shown(): readonly SummaryNode[] {
    return this.machine.nodes.filter((node) => this.#slots.has(node.id));
  }
}

const variables = (palette: Palette): string =>
  [
    ...palette.system.map((c, i) => `--s${i}:${c.fill};--s${i}-ink:${c.ink}`),
    ...palette.device.map((c, i) => `--d${i}:${c.fill};--d${i}-ink:${c.ink}`),
  ].join(';');

/** The rules that give `c-s0`, `c-d0`, ... their colours, in light and dark. */
export function colourRules(): string {
  const classes = (['s', 'd'] as const).flatMap((family) =>
    LIGHT[family === 's' ? 'system' : 'device'].map(
      (_, i) => `.c-${family}${i}{--fill:var(--${family}${i});--on:var(--${family}${i}-ink)}`,
    ),
  );
  return [
    `:root{${variables(LIGHT)}}`,
    `@media screen and (prefers-color-scheme:dark){:root{${variables(DARK)}}}`,
    ...classes,
  ].join('\n');
}

/** Every node with its colour, as a list. */
export function legend(colours: NodeColours): Html {
  const items = colours.shown().map((node) => {
    const what = node.device ?? (node.sizeBytes === 0 ? 'no memory' : 'RAM');
    return html`<li><i class="${colours.classOf(node.id)}"></i>${node.id} <span>${what}</span></li>`;
  });
  return html`<ul class="legend" aria-label="Colours of the nodes">${items}</ul>`;
}
