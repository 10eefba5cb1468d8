// Zonelists as text, against the sample of the thread.
import { expect, test } from 'vitest';
import { findDesign } from '../designs/index.ts';
import { Kernel } from '../kernel/kernel.ts';
import { thread } from '../machine/presets/thread.ts';
import { fallbackOrderText, zonelistRows, zonelistText } from './zonelist_text.ts';

const kernel = (design: string): Kernel => new Kernel(thread(), findDesign(design));

test('the zonelist design gives the lists of the sample, in its form', () => {
  const text = zonelistText(zonelistRows(kernel('zonelist')));
  const sample = [
    [0, 'RAM', [0, 1]],
    [1, 'RAM', [1, 0]],
    [2, 'CDM', [2, 0, 1]],
    [3, 'CDM', [3, 0, 1]],
    [4, 'CDM', [4, 0, 1]],
  ] as const;
  const lines = sample.flatMap(([nid, kind, order]) => [
    `[NODE (${nid})] ${kind}`,
    'ZONELIST_FALLBACK',
    ...order.map((n, i) => `(${i}) (node ${n}) (${n < 2 ? 'Normal' : 'Movable'})`),
    'ZONELIST_NOFALLBACK',
    `(0) (node ${nid}) (${nid < 2 ? 'Normal' : 'Movable'})`,
  ]);
  expect(text.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '))).toEqual(lines);
});

test('stock marks no node, and lists every node everywhere', () => {
  const rows = zonelistRows(kernel('stock'));
  expect(rows.every((row) => !row.isCoherentDevice && row.fallback.length === 5)).toBe(true);
  expect(fallbackOrderText(kernel('stock')).split('\n')[0]).toMatch(
    /^Fallback order for Node 0: 0 /,
  );
});
