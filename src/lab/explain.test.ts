// Explanations, on decisions that are known beforehand; and, on random work, that what is told is
// where the page is.
import { describe, expect, test } from 'vitest';
import { findDesign, THREAD_DESIGNS } from '../designs/index.ts';
import { pteFrame, pteIsPage } from '../kernel/page_table.ts';
import { type Explanation, explainPage } from './explain.ts';
import { loadScenario, parseWithMachine } from './load_scenario.ts';
import { Session } from './session.ts';

interface Ask {
  readonly region: string;
  readonly index: number;
  readonly task?: string;
  readonly atStep?: number;
}

const why = (name: string, design: string, ask: Ask): Explanation =>
  explainPage({ ...loadScenario(name), design: findDesign(design), ...ask });

const whyText = (text: string, design: string, ask: Ask): Explanation =>
  explainPage({
    ...parseWithMachine(`machine thread\ntask app\n${text}`, 'test.cdm'),
    design: findDesign(design),
    ...ask,
  });

/** `2 Movable gated`: the walk in short. */
const walk = (e: Explanation, i = 0): string[] =>
  (e.request?.attempts[i]?.zones ?? []).map((z) => `${z.nid} ${z.zone} ${z.short}`);

describe('the allocator gate', () => {
  test('keeps PREFERRED off a device node, and tells why', () => {
    const e = why('preferred-interleave-skip', 'allocator-gate', { region: 'buf', index: 0 });
    expect(e).toMatchObject({ state: 'page', nid: 0 });
    expect(e.request).toMatchObject({
      purpose: 'page fault',
      policy: 'preferred 2',
      policyFrom: 'area',
      startWhy: 'the preferred node',
      step: 3,
    });
    expect(walk(e)).toEqual(['2 Movable gated', '0 Normal taken']);
    expect(e.request?.attempts[0]?.zones[0]?.verdict).toContain(
      'needs __GFP_THISNODE or a nodemask',
    );
    expect(e.request?.attempts[0]?.list).toEqual({ owner: 2, kind: 'FALLBACK' });
  });

  test('lets a bind through, whose mask is its own', () => {
    const e = why('preferred-interleave-skip', 'allocator-gate', { region: 'buf', index: 130 });
    expect(e.nid).toBe(2);
    expect(e.request?.nodemask).toBe('2');
    expect(walk(e)).toEqual(['0 Normal not in mask', '1 Normal not in mask', '2 Movable taken']);
  });
});

describe('the zonelist design', () => {
  test('names nodes that its lists do not hold', () => {
    const e = why('preferred-interleave-skip', 'zonelist', { region: 'buf', index: 32 });
    expect(e.nid).toBe(0);
    const [first, second] = e.request?.attempts ?? [];
    expect(first?.isGiven).toBe(false);
    expect(first?.missing.map((m) => m.nid)).toEqual([2, 3, 4]);
    expect(first?.missing[0]?.why).toContain('the design (zonelist) keeps it out');
    expect(second?.isGiven).toBe(true);
    expect(e.request?.nodemask).toBe('2');
  });

  test('tells of a fault that is retried for ever', () => {
    const ask = { region: 'heap', index: 0, task: 'worker' };
    const e = why('cpuset-device-only', 'zonelist', ask);
    expect(e.state).toBe('dead task');
    expect(e.words).toContain('LIVELOCK at this very page');
    expect(e.request?.isGiven).toBe(false);
    expect(e.request?.failure).toContain('tried again for ever');
    expect(e.request?.cpuset).toBe('/device mems 2');
  });
});

describe('an attempt', () => {
  test('above low that fails is followed by one above min, with the marks of each', () => {
    const e = why('unaware-app', 'limited-node', { region: 'more', index: 69_000 });
    expect(e.state).toBe('dead task');
    expect(e.words).toMatch(/ended in KILLED at page \d+ of the region, before it came/);
    const attempts = e.request?.attempts ?? [];
    expect(attempts.map((a) => a.attempt)).toEqual(['fast', 'slow', 'drained', 'last']);
    const [fast, slow, drained, last] = attempts;
    for (const [attempt, mark] of [
      [fast, 'low'],
      [slow, 'min'],
      [drained, 'min'],
      [last, 'high'],
    ] as const) {
      for (const z of attempt?.zones ?? []) {
        expect(z.short).toBe(`below ${mark}`);
        expect(z.freePages).toBeLessThanOrEqual(z.watermarkPages as number);
      }
    }
    expect(slow?.zones[0]?.watermarkPages).toBeLessThan(fast?.zones[0]?.watermarkPages as number);
  });

  test('for a move uses the list of the node alone', () => {
    const e = why('hybrid-flow', 'zonelist', { region: 'buf', index: 5, atStep: 5 });
    expect(e.nid).toBe(2);
    expect(e.request).toMatchObject({
      purpose: 'migration target',
      policy: 'none: the request names its node',
      gfp: 'GFP_HIGHUSER_MOVABLE|__GFP_NOWARN|__GFP_RETRY_MAYFAIL|__GFP_COMP|__GFP_THISNODE',
    });
    expect(e.request?.attempts[0]?.list).toEqual({ owner: 2, kind: 'NOFALLBACK' });
    expect(e.request?.attempts[0]?.missing).toEqual([]);
    expect(e.history.map((h) => h.nid)).toEqual([undefined, 0, 2]);
  });
});

describe('a page that is not there', () => {
  const MAPPED = 'app mmap buf 8 anon\n';
  test('never touched, only read, unmapped, or of a task that is not', () => {
    expect(whyText(MAPPED, 'stock', { region: 'buf', index: 0 }).state).toBe('empty');
    const read = whyText(`${MAPPED}app read buf\n`, 'stock', { region: 'buf', index: 0 });
    expect(read.state).toBe('zero page');
    expect(read.request).toBeUndefined();
    const early = { region: 'buf', index: 0, task: 'late', atStep: 0 };
    const late = `${MAPPED}app touch buf\nfork app late\nlate touch buf 0 1\n`;
    expect(whyText(late, 'stock', early).words).toContain('the task does not exist yet');
    const gone = whyText(`app exit\n${MAPPED}`, 'stock', { region: 'buf', index: 0 });
    expect(gone).toMatchObject({ state: 'dead task', history: [{ step: 0 }] });
  });

  test('unmapped again, is told with the request that had given it', () => {
    const text = `${MAPPED}app touch buf\napp munmap buf\n`;
    const e = whyText(text, 'stock', { region: 'buf', index: 3 });
    expect(e.state).toBe('not mapped');
    expect(e.words).toContain('step 3 (app munmap buf) took it from node 0');
    expect(e.request).toMatchObject({ step: 1, purpose: 'page fault', isGiven: true });
  });

  test('gone with a task that died in the same operation, is told with its request', () => {
    // Page tables follow the task's policy too, and node 2 has no memory for the kernel: under the
    // limited node the task cannot go on past its first leaf of 512 pages.
    const text =
      `app cpu 0\napp mmap buf 600 anon\napp touch buf 0 1\napp set_mempolicy bind 2\n` +
      'app touch buf\n';
    const e = whyText(text, 'limited-node', { region: 'buf', index: 500 });
    expect(e.state).toBe('dead task');
    expect(e.words).toMatch(
      /step 5 \(app touch buf\) got it, went on to page \d+, and ended there/,
    );
    expect(e.request).toMatchObject({ step: 4, policy: 'bind 2', isGiven: true });
    expect(e.request?.attempts[0]?.zones.at(-1)?.nid).toBe(2);
  });

  test('past the end of what is mapped, has no request to show, whatever failed before it', () => {
    // The zonelist design fails each first try of preferred_many for a device, and then succeeds.
    const text =
      'app mmap buf 8 anon\napp mbind buf 0 8 preferred_many 2\napp munmap buf 4 4\napp touch buf\n';
    const e = whyText(text, 'zonelist', { region: 'buf', index: 4 });
    expect(e.words).toContain('step 4 (app touch buf) ended in SIGSEGV at this very page');
    expect(e.request).toBeUndefined();
  });

  test('that the scenario cannot have, is refused', () => {
    const text = `${MAPPED}app touch buf\n`;
    expect(() => whyText(text, 'stock', { region: 'bug', index: 0 })).toThrow(/did you mean buf/);
    expect(() => whyText(text, 'stock', { region: 'buf', index: 8 })).toThrow(/0 to 7/);
    expect(() => whyText(text, 'stock', { region: 'buf', index: 0, task: 'x' })).toThrow(/no task/);
    const late = { region: 'buf', index: 0, atStep: 2 };
    expect(() => whyText(text, 'stock', late)).toThrow(/steps 1 to 2/);
  });
});

test('[SES2] whoever waits for an explanation is told of every step, in both runs', () => {
  const told: string[] = [];
  const onStep = (done: number, total: number) => void told.push(`${done}/${total}`);
  const text = 'machine thread\ntask app\napp mmap buf 8 anon\napp touch buf\n';
  const loaded = parseWithMachine(text, 'test.cdm');
  explainPage({ ...loaded, design: findDesign('stock'), region: 'buf', index: 0, onStep });
  expect(told).toEqual(['1/2', '2/2', '1/2', '2/2']);
});

describe('[EXP1] copies and forks', () => {
  test('a copy on write is told as such, and the original stays the parent request', () => {
    const text =
      'app cpu 0\napp mmap buf 4 anon\napp touch buf\nfork app child\n' +
      'child mbind buf 0 4 bind 2\nchild touch buf 0 2\n';
    const copied = whyText(text, 'stock', { region: 'buf', index: 1, task: 'child' });
    expect(copied.request).toMatchObject({ purpose: 'copy on write', task: 'child', step: 5 });
    expect(copied.nid).toBe(2);
    const shared = whyText(text, 'stock', { region: 'buf', index: 3, task: 'child' });
    expect(shared.request).toMatchObject({ purpose: 'page fault', task: 'app', step: 2 });
  });

  test('a page of a shared object that the task has not mapped is told', () => {
    const text =
      'app cpu 0\napp mmap buf 4 shared\nfork app child\napp mbind buf 0 4 bind 2\n' +
      'child touch buf\n';
    const e = whyText(text, 'stock', { region: 'buf', index: 0, task: 'app' });
    expect(e).toMatchObject({ state: 'page', nid: 2 });
    expect(e.words).toContain('app has not mapped it');
    expect(e.request).toMatchObject({ purpose: 'shared page', policyFrom: 'shared object' });
  });
});

test.each([1, 2, 3])(
  '[EXP1] in random work, what is told to be taken is where the page is (%i)',
  (seed) => {
    const loaded = loadScenario('random-mix', { parameters: { SEED: String(seed), OPS: '120' } });
    let nrTold = 0;
    for (const design of THREAD_DESIGNS) {
      const session = new Session({ ...loaded, design });
      session.finish();
      for (const { task, region, nrPages } of session.placements()) {
        if (nrPages === 0) continue;
        const table = session.runner.regionsOf(task);
        const pageTable = session.runner.tasks.get(task)?.mm.pageTable;
        const { startVpn, nrPages: length } = table.range({ region });
        for (let vpn = startVpn; vpn < startVpn + length; vpn += 11) {
          const pte = pageTable?.get(vpn) ?? 0;
          if (!pteIsPage(pte)) continue;
          const index = vpn - table.startOf(region);
          const e = explainPage({ ...loaded, design, task, region, index });
          const nid = Number(session.kernel.allocator.nidOf(pteFrame(pte)));
          expect(e.nid).toBe(nid);
          const last = e.request?.attempts.at(-1)?.zones.at(-1);
          expect(last).toMatchObject({ nid, short: 'taken' });
          nrTold++;
        }
      }
    }
    expect(nrTold).toBeGreaterThan(5);
  },
);

test('a visit that a cache answered is told where nothing became of the page', () => {
  const notes = (index: number): (string | undefined)[] =>
    why('device-cache', 'stock', { region: 'buf', index, atStep: 7 }).history.map((e) => e.note);
  expect(notes(0)).toEqual([
    undefined,
    undefined,
    'the cache of acc0 answered 3,136 of 3,200 visits, and no access counter saw them',
    'the cache of acc0 answered 64 of 64 visits, and no access counter saw them',
  ]);
  expect(notes(64)).toEqual([undefined, undefined]);
});

test('so is a page that a driver keeps, since its block went to and fro', () => {
  const turn = 'app device_compute gpu0 R0 0 8\napp touch R0 0 8\n';
  const text = `app device_policy gpu0 migrate-back\napp mmap R0 8 anon\napp touch R0\n`;
  const e = whyText(`${text}${turn.repeat(4)}`, 'stock', { region: 'R0', index: 0 });
  expect(e.nid).toBe(2);
  expect(e.history.map(({ nid, note }) => note ?? nid)).toEqual([
    undefined,
    0,
    ...[2, 0, 2, 0, 2],
    ...Array(2).fill('gpu0 keeps its block, which went to and fro too fast'),
  ]);
});
