// Every operation that was ever run on a real kernel is a line of this language.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { Scenario } from './ops.ts';
import { parseOpLine, parseScenario } from './parser.ts';
import { kernelLines, printOp, printScenario } from './print.ts';

const FOLDER = fileURLToPath(new URL('../../../shared/oracle/', import.meta.url));
const isThere = existsSync(FOLDER);
if (!isThere) console.warn(`skipped: every line run on a real kernel, since ${FOLDER} is absent`);

interface Case {
  readonly id: string;
  readonly lines: readonly string[];
}

function cases(): Case[] {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.jsonl.gz'));
  return files.flatMap((name) => {
    const text = gunzipSync(readFileSync(FOLDER + name)).toString();
    const records = text.split('\n').filter((line) => line !== '');
    return records.map((record): Case => {
      const { id, ops } = JSON.parse(record) as { id: string; ops: { op: string }[] };
      return { id, lines: ops.map(({ op }) => op) };
    });
  });
}

/** Recorded lines may write out what goes without saying, and ranges of nodes. */
const canonical = (line: string): string =>
  line
    .replace(/ shift=0$/, '')
    .replace(/(?<= )(\d+)-(\d+)(?= |$)/g, (_, low: string, high: string) =>
      Array.from({ length: Number(high) - Number(low) + 1 }, (_, i) => Number(low) + i).join(','),
    );

const withoutPlaces = (scenario: Scenario): Scenario => ({
  ...scenario,
  ops: scenario.ops.map(({ text, act, expect }) => ({ text, act, expect })),
});

describe.skipIf(!isThere)('lines run on real kernels', () => {
  const all = isThere ? cases() : [];

  test('every distinct line parses and prints as a line that reads back equal', () => {
    const distinct = new Set(all.flatMap(({ lines }) => lines));
    expect(distinct.size).toBeGreaterThan(4000);
    for (const line of distinct) {
      // The size of a region is not told on a line by itself, and no recorded line relies on it.
      const op = parseOpLine(line);
      const again = parseOpLine(printOp(op));
      if (JSON.stringify(again.act) !== JSON.stringify(op.act))
        expect(again.act).toStrictEqual(op.act);
      // cpuset files take their value as it stands, so only node lists of calls are written out.
      if (op.text !== line && op.text !== canonical(line)) expect(op.text).toBe(line);
    }
  });

  test('every case parses as a scenario, prints as one, and gives the lines that were run', () => {
    expect(all.length).toBeGreaterThan(5000);
    for (const { id, lines } of all) {
      const scenario = parseScenario(lines.join('\n'), { file: id });
      const again = parseScenario(printScenario(scenario), { file: id });
      const text = JSON.stringify(withoutPlaces(again));
      const before = JSON.stringify(withoutPlaces(scenario));
      if (text !== before) expect(withoutPlaces(again)).toStrictEqual(withoutPlaces(scenario));
      const run = kernelLines(scenario);
      run.forEach((line, i) => {
        const recorded = lines[i] as string;
        if (line !== recorded && line !== canonical(recorded)) expect(line).toBe(recorded);
      });
    }
  });
});
