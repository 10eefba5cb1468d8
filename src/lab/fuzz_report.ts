// A difference as a scenario file: the shortest operations that show it, and what the kernel said.
import type { Expectation, OpResult, Scenario } from '../scenario/ops.ts';
import { parseScenario } from '../scenario/parser.ts';
import { printScenario } from '../scenario/print.ts';
import type { ShrunkDifference } from './kernel_fuzz.ts';

export interface DifferenceNames {
  /** Of the scenario. */
  readonly name: string;
  /** The command that finds it again. */
  readonly again: string;
  /** The machine, as the scenario names it. */
  readonly machine: string;
}

/** The text of the scenario; its last operation expects what the kernel did. */
export function differenceText(found: ShrunkDifference, names: DifferenceNames): string {
  const { record, outcome, lines } = found;
  const parsed = parseScenario(lines.join('\n'), { file: names.name });
  const step = outcome.step ?? lines.length - 1;
  const ops = parsed.ops.map((op, i) =>
    i === step ? { ...op, expect: expectationsOf(record.ops[i]?.result) } : op,
  );
  const scenario: Scenario = {
    ...parsed,
    name: names.name,
    title: `The model and Linux ${record.kernel} part at operation ${step + 1}`,
    source: names.again,
    machine: names.machine,
    ops,
  };
  const head = [`# ${outcome.difference ?? ''}`, `# Again: ${names.again}`];
  return `${head.join('\n')}\n${printScenario(scenario)}`;
}

/** What the kernel's result comes to in the language. */
function expectationsOf(result: OpResult | undefined): Expectation[] {
  if (result === undefined) return [];
  const expect: Expectation[] = [{ kind: 'ret', ret: result.ret }];
  const counts = result.counts as Record<string, number> | undefined;
  if (counts !== undefined) {
    const nodes = Object.entries(counts).filter(([node]) => /^\d+$/.test(node));
    expect.push({ kind: 'nodes', counts: Object.fromEntries(nodes) });
  }
  for (const field of ['mode', 'node', 'value', 'touched']) {
    const value = result[field];
    if (value !== undefined) expect.push({ kind: 'field', field, value: String(value) });
  }
  return expect;
}
