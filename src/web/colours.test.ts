// That the colours do what their header claims, computed for every kind of sight.
import { describe, expect, test } from 'vitest';
import { summarizeMachine } from '../lab/compare.ts';
import type { Comparison } from '../lab/comparison.ts';
import { loadMachine } from '../machine/load.ts';
import { colourRules, DARK, LIGHT, NodeColours, type Palette, type Swatch } from './colours.ts';

type Vector = readonly [number, number, number];
type Matrix = readonly [Vector, Vector, Vector];

/** Machado, Oliveira and Fernandes, 2009: how full colour-vision deficiencies map linear RGB. */
const VISIONS: Readonly<Record<string, Matrix>> = {
  normal: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

const clamp = (v: number): number => Math.max(0, Math.min(1, v));
const apply = (m: Matrix, v: Vector): Vector =>
  m.map((row) => clamp(row[0] * v[0] + row[1] * v[1] + row[2] * v[2])) as unknown as Vector;

function linear(hex: string): Vector {
  return [1, 3, 5].map((i) => {
    const v = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  }) as unknown as Vector;
}

/** Ottosson's Oklab, in which distances are near to what an eye sees. */
function oklab([r, g, b]: Vector): Vector {
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

const luminance = (hex: string): number => {
  const [r, g, b] = linear(hex);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

function contrast(a: string, b: string): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

/** The least distance between two colours of a list, under any vision. */
function leastDistance(swatches: readonly Swatch[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (const matrix of Object.values(VISIONS)) {
    const seen = swatches.map(({ fill }) => oklab(apply(matrix, linear(fill))));
    seen.forEach((a, i) => {
      for (const b of seen.slice(i + 1)) {
        least = Math.min(least, Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]));
      }
    });
  }
  return least;
}

const palettes: readonly (readonly [string, Palette, string])[] = [
  ['light', LIGHT, '#fbfbf9'],
  ['dark', DARK, '#15181b'],
];

describe.each(palettes)('the %s palette', (_, palette, paper) => {
  const all = [...palette.system, ...palette.device];

  test('[COL1] colours of a family stay apart for every reader', () => {
    expect(leastDistance(palette.system)).toBeGreaterThan(0.08);
    expect(leastDistance(palette.device)).toBeGreaterThan(0.08);
  });

  test('colours of different families stay apart too; stripes do the rest', () => {
    expect(leastDistance(all)).toBeGreaterThan(0.05);
  });

  test('[COL2] text on a colour is legible, and the colour is seen on the page', () => {
    for (const { fill, ink } of all) {
      expect(contrast(fill, ink)).toBeGreaterThanOrEqual(4.5);
      expect(contrast(fill, paper)).toBeGreaterThan(1.4);
    }
  });
});

describe('colours of nodes', () => {
  const coloursOf = (name: string): NodeColours =>
    new NodeColours(summarizeMachine(loadMachine(name)));

  test('[COL3] system memory and devices take the colours of their family in order', () => {
    const colours = coloursOf('ac922');
    const classes = colours.shown().map((node) => colours.classOf(node.id));
    expect(classes.slice(0, 3)).toEqual(['node c-s0', 'node c-s1', 'node c-d0 device']);
    expect(new Set(classes).size).toBe(8);
    expect(colours.isRepeating).toBe(false);
    expect(colours.deviceOf(250)).toBe('gpu5');
  });

  test('empty nodes take none, and nodes that the machine does not have are drawn as such', () => {
    const colours = coloursOf('gb200');
    expect(colours.shown().map((node) => node.id)).toEqual([0, 1, 2, 10, 18, 26]);
    expect(colours.classOf(3)).toBe('node c-none device');
    expect(colours.classOf(77)).toBe('node c-none');
  });

  test('more nodes than colours repeat, and say so', () => {
    const one = summarizeMachine(loadMachine('pc'));
    const node = one.nodes[0] as Comparison['machine']['nodes'][number];
    const nodes = Array.from({ length: 7 }, (_, id) => ({ ...node, id }));
    const colours = new NodeColours({ ...one, nodes });
    expect(colours.isRepeating).toBe(true);
    expect(colours.classOf(6)).toBe(colours.classOf(0));
  });

  test('every class has a rule', () => {
    for (let i = 0; i < 6; i++) {
      expect(colourRules()).toContain(`.c-s${i}{`);
      expect(colourRules()).toContain(`.c-d${i}{`);
    }
  });
});
