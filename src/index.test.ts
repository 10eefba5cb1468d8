// The library as a program uses it: through src/index.ts alone.
import { expect, test } from 'vitest';
import {
  checkAll,
  compareDesigns,
  DEFAULT_DESIGNS,
  explainPage,
  findDesign,
  loadMachine,
  loadScenario,
  parseScenario,
  Session,
  scenario,
  UserError,
} from './index.ts';

test('the example of the header: compare the default designs on a shipped scenario', () => {
  const loaded = loadScenario('bind-device');
  const { outcomes } = compareDesigns({ ...loaded, designs: DEFAULT_DESIGNS });
  // Where a driver keeps the memory no node is there to bind to.
  const refuses = ['hmm', 'hmm-coherent', 'driver'];
  expect(outcomes.map((o) => [o.design, o.nrNotAsked, o.refusals.length > 0])).toEqual(
    DEFAULT_DESIGNS.map((d) => [d.id, 0, refuses.includes(d.id)]),
  );
});

test('a scenario written as text, run step by step, leaves a kernel without findings', () => {
  const machine = loadMachine('thread');
  const text = 'task app\napp mmap buf 1MiB anon\napp touch buf\napp where buf -> nodes 0:16\n';
  const parsed = parseScenario(text, { file: 'mine.cdm', pageBytes: machine.pageBytes });
  const design = findDesign('zonelist');
  const session = new Session({ machine, design, scenario: parsed });
  expect(session.finish().flatMap((step) => step.failed)).toEqual([]);
  expect(checkAll(session.kernel)).toEqual([]);
  const why = explainPage({ machine, design, scenario: parsed, region: 'buf', index: 3 });
  expect(why).toMatchObject({ nid: 0, state: 'page', task: 'app' });
});

test('what is exported builds scenarios, and mistakes are UserErrors', () => {
  expect(scenario('mine')).toBeDefined();
  expect(() => loadMachine('nope')).toThrow(UserError);
});
