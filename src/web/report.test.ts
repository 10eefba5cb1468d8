// The page as a document: what it says, what it must not contain, machines and runs of all sizes.
import { parseHTML } from 'linkedom';
import { describe, expect, test } from 'vitest';
import { THREAD_DESIGNS } from '../designs/index.ts';
import { compareDesigns } from '../lab/compare.ts';
import type { Comparison, DesignOutcome } from '../lab/comparison.ts';
import { type LoadScenarioOptions, loadScenario, parseWithMachine } from '../lab/load_scenario.ts';
import { renderReport } from './report.ts';
import { count } from './words.ts';

const compared = (name: string, options: LoadScenarioOptions = {}): Comparison =>
  compareDesigns({ ...loadScenario(name, options), designs: THREAD_DESIGNS });

const parsed = (text: string): Comparison =>
  compareDesigns({ ...parseWithMachine(text, 'test.cdm'), designs: THREAD_DESIGNS });

const documentOf = (comparison: Comparison) => parseHTML(renderReport(comparison)).document;
type Page = ReturnType<typeof documentOf>;

const textsOf = (page: Page, selector: string): string[] =>
  [...page.querySelectorAll(selector)].map((e) => (e.textContent ?? '').trim());

/** Every string in a value, changed. */
function withStrings<T>(value: T, change: (text: string) => string): T {
  const walk = (v: unknown): unknown => {
    if (typeof v === 'string') return change(v);
    if (Array.isArray(v)) return v.map(walk);
    if (typeof v !== 'object' || v === null) return v;
    return Object.fromEntries(Object.entries(v).map(([key, inner]) => [key, walk(inner)]));
  };
  return walk(value) as T;
}

const leak = compared('cpuset-both');
const mixed = compared('random-mix');

describe('the page of a comparison', () => {
  const page = documentOf(leak);

  test('has its sections, in order, each with its heading', () => {
    expect(textsOf(page, 'main > section > h2')).toEqual([
      'Comparison',
      'The machine',
      'Zonelists',
      'Where the pages are after each step',
      'Designs',
    ]);
    for (const link of page.querySelectorAll('a[href]')) {
      const target = link.getAttribute('href') as string;
      expect(page.getElementById(target.slice(1)), target).not.toBeNull();
    }
  });

  test('says what ran, on what, and what "asked for" means', () => {
    expect(textsOf(page, 'h1')).toEqual([leak.scenario.title]);
    const facts = textsOf(page, '.facts').join(' ');
    expect(facts).toContain(leak.scenario.source);
    expect(facts).toContain(leak.machine.note);
    expect(facts).toContain('64 KiB pages');
    for (const { design } of leak.outcomes) expect(facts).toContain(design);
    for (const [name, value] of Object.entries(leak.parameters)) {
      expect(facts).toContain(`${name} = ${value}`);
    }
    expect(textsOf(page, '.asked')[0]).toContain('names the device node');
  });

  test('the headline tells who leaked and who refused', () => {
    const [stock] = leak.outcomes as [DesignOutcome];
    expect(stock.nrNotAsked).toBeGreaterThan(1000);
    expect(textsOf(page, '.headline')[0]).toMatch(
      new RegExp(`^Under stock, ${count(stock.nrNotAsked)} pages landed on device memory`),
    );
    expect(textsOf(page, '.headline')[0]).toContain('Refused or not survived: 1 operation under');
  });

  test('tells what each design bought and cost, and that no time is estimated without figures', () => {
    expect(textsOf(page, 'dl.story').join()).toContain(
      'pages off devices that nobody had asked for',
    );
    expect(textsOf(page, '#comparison').join()).toContain('Time not estimated: no figure for');
    expect(page.querySelector('details.estimate')).toBeNull();
  });

  test('an estimate stands with its figures and their sources', () => {
    const timed = documentOf(compared('hybrid-flow', { machine: 'gh200' }));
    expect(textsOf(timed, 'table.comparison thead').join()).toContain('Time (estimate)');
    const told = textsOf(timed, 'details.estimate').join();
    expect(told).toContain('no measurement');
    expect(told).toContain('dnhkng.github.io, 2026-04-25');
    expect(told).toContain('the cost of a moved page');
  });

  test('the table has a row for every design with its numbers', () => {
    const rows = [...page.querySelectorAll('table.comparison tbody tr')];
    expect(rows).toHaveLength(leak.outcomes.length);
    leak.outcomes.forEach((o, i) => {
      const cells = [...(rows[i]?.querySelectorAll('th, td') ?? [])].map((c) => c.textContent);
      expect(cells.slice(0, 9)).toEqual([
        o.design,
        count(o.nrNotAsked),
        count(o.nrAsked),
        count(o.nrOnDeviceAtEnd),
        count(o.nrSpilled),
        count(o.refusals.filter((r) => r.ret !== 'KILLED').length),
        count(o.refusals.filter((r) => r.ret === 'KILLED').length),
        count(o.nrMovedToDevice),
        count(o.nrMovedFromDevice),
      ]);
      expect(cells[9]).toBe((o.nrZonesLookedAt / o.nrRequests).toFixed(2));
    });
  });

  test('estimated time has a column only when some design has one, and is called an estimate', () => {
    expect(textsOf(page, '.comparison thead')[0]).not.toContain('estimate');
    const outcomes = leak.outcomes.map((o, i) => (i === 1 ? { ...o, estimatedTimeNs: 2.5e6 } : o));
    const timed = documentOf({ ...leak, outcomes });
    expect(textsOf(timed, '.comparison thead')[0]).toContain('Time (estimate)');
    const table = textsOf(timed, '.comparison tbody')[0] as string;
    expect(table).toContain('2.5 ms');
    expect(table).toContain('unknown');
  });

  test('what was not as expected and what is not modelled is said at the top and in the card', () => {
    const [first, ...rest] = leak.outcomes as [DesignOutcome, ...DesignOutcome[]];
    const failedExpectations = [{ step: 2, text: 'app touch x: expected 0, found EIO' }];
    const broken = { ...first, notModelled: 'swap to disk', failedExpectations };
    const warned = documentOf({ ...leak, outcomes: [broken, ...rest] });
    expect(textsOf(warned, '.warnings')[0]).toContain('stopped early: swap to disk');
    const card = textsOf(warned, `#design-${first.design}`)[0] as string;
    expect(card).toContain('Not modelled: swap to disk');
    expect(card).toContain('step 3 app touch x: expected 0, found EIO');
    expect(textsOf(warned, '.comparison thead')[0]).toContain('Not as expected');
  });

  test('cards tell promise, summary, refusals with their step, moves, and the state hash', () => {
    for (const o of mixed.outcomes) {
      const card = textsOf(documentOf(mixed), `#design-${o.design}`)[0] as string;
      for (const text of [o.promise, o.summary, o.stateHash]) expect(card).toContain(text);
      for (const r of o.refusals) expect(card).toContain(`step ${r.step + 1} ${r.text}`);
    }
    const stock = mixed.outcomes[0] as DesignOutcome;
    const card = documentOf(mixed).getElementById('design-stock');
    const moved = [...(card?.querySelectorAll('table.small') ?? [])].at(-1);
    expect(moved?.querySelectorAll('tbody tr')).toHaveLength(stock.moves.length);
  });

  test('the placement table ends with what the data end with', () => {
    const bars = documentOf(compared('text-stays'));
    const [body] = [...bars.querySelectorAll('tbody.region')];
    const cells = [...(body?.querySelectorAll('td.cell') ?? [])].map((c) => c.textContent?.trim());
    expect(cells.slice(0, 3)).toEqual(Array(3).fill('16node 2: 16'));
    expect(cells[3]).toBe('no pages LIVELOCK');
  });

  test('ids are there once, cells of tables have heads with a scope, pictures have words', () => {
    const ids = [...page.querySelectorAll('[id]')].map((e) => e.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const head of page.querySelectorAll('th')) {
      expect(['row', 'col', 'rowgroup']).toContain(head.getAttribute('scope'));
    }
    for (const svg of page.querySelectorAll('svg')) {
      const title = page.getElementById(svg.getAttribute('aria-labelledby') as string);
      expect(title?.textContent?.length).toBeGreaterThan(20);
    }
  });
});

describe('[REP1] [REP2] what goes in comes out as text, the same every time', () => {
  test('equal comparisons give equal pages, from memory or from JSON', () => {
    const copy = JSON.parse(JSON.stringify(mixed)) as Comparison;
    expect(renderReport(copy)).toBe(renderReport(mixed));
  });

  test('markup in any text of the data changes no element of the page', () => {
    const evil = `</style></script><img/src=x/onerror="alert(1)">&'`;
    // Kinds that choose words, not text that is shown: a name with markup is another name.
    const attacked = withStrings(mixed, (text) => `${text}${evil}`);
    const elements = (c: Comparison): string[] =>
      [...documentOf(c).querySelectorAll('*')].map((e) => e.tagName);
    expect(renderReport(attacked)).not.toContain('<img');
    expect(documentOf(attacked).querySelectorAll('[onerror]')).toHaveLength(0);
    const plain = withStrings(mixed, (text) => `${text}x`);
    expect(elements(attacked)).toEqual(elements(plain));
    expect(textsOf(documentOf(attacked), 'h1')).toEqual([`${mixed.scenario.title}${evil}`]);
  });

  test('refers to nothing outside, even when a source is an address', () => {
    const text = renderReport(mixed);
    expect(text).not.toMatch(/https?:\/\//);
    expect(text).not.toMatch(/\bsrc=|@import|url\(|<link(?! rel="icon" href="data:,")/);
    const source = 'https://example.org/a?b=1&c';
    const page = documentOf({ ...mixed, scenario: { ...mixed.scenario, source } });
    expect(textsOf(page, '.facts')[0]).toContain(source);
    for (const e of page.querySelectorAll('*')) {
      for (const { name, value } of e.attributes) {
        expect(value, `${e.tagName} ${name}`).not.toContain('//example');
      }
    }
    expect(text).toContain("default-src 'none'");
  });
});

describe('machines of all sizes', () => {
  test('34 nodes, most of them empty: the empty ones are folded away, none is lost', () => {
    const gb200 = parsed(`machine gb200
task app
app cpu 0
app mmap buf 64 anon
app mbind buf 0 64 interleave 0,2,10,18,26
app touch buf
`);
    const page = documentOf(gb200);
    expect(textsOf(page, '.box h4')).toEqual([
      'node 0',
      'node 2gpu0',
      'node 10gpu1',
      '14 empty nodes',
      'node 1',
      'node 18gpu2',
      'node 26gpu3',
      '14 empty nodes',
    ]);
    expect(textsOf(page, '.box.vacant')[0]).toContain('3-9 gpu0');
    expect(textsOf(page, '.legend li')).toHaveLength(6);
    const matrices = [...page.querySelectorAll('table.matrix')];
    expect(matrices.map((m) => m.querySelectorAll('tbody td').length)).toEqual([36, 34 * 34]);
    expect(matrices[1]?.closest('details')).not.toBeNull();
    const lists = textsOf(page, '.zonelists th[scope=rowgroup]');
    expect(lists).toHaveLength(34);
    expect(page.querySelectorAll('#zonelists details th[scope=rowgroup]')).toHaveLength(28);
  });

  test('one node and one design: no distances, no columns to compare, nothing to differ', () => {
    const input = parseWithMachine('machine pc\nT0 mmap R0 8 anon\nT0 touch R0\n', 'pc.cdm');
    const designs = THREAD_DESIGNS.slice(0, 1);
    const page = documentOf(compareDesigns({ ...input, designs }));
    expect(textsOf(page, '.headline')).toEqual(['This machine has no device memory.']);
    expect(page.querySelectorAll('table.matrix, svg, #steps-differing')).toHaveLength(0);
    expect(textsOf(page, '.box h4')).toEqual(['node 0']);
    expect(textsOf(page, 'tbody.region .nums')).toEqual(['node 0: 8']);
  });

  test('long scenarios are cut with a note that says how much is left out', () => {
    const long = compared('random-mix', { parameters: { OPS: '3000', SEED: '11' } });
    const page = documentOf(long);
    const notes = textsOf(page, '#placement .limit').join(' ');
    expect(notes).toMatch(/the first 200 of [\d,]+ steps that changed a placement/);
    const steps = new Set(
      [...page.querySelectorAll('tr.step:not(.quiet)')].map((row) => row.getAttribute('data-step')),
    );
    expect(steps.size).toBe(200);
    expect(renderReport(long).length).toBeLessThan(2_000_000);
  });

  test('a scenario without operations still gives a page', () => {
    const page = documentOf(parsed('machine thread\ntask app\n'));
    expect(textsOf(page, '#placement')[0]).toContain('No page of any region was ever placed.');
  });
});
