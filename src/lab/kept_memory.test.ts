// What people are shown of memory that drivers keep: shipped scenarios, explanations, lists.
import { describe, expect, test } from 'vitest';
import { findDesign } from '../designs/index.ts';
import { explainPage } from './explain.ts';
import { loadScenario, parseWithMachine } from './load_scenario.ts';
import { Session } from './session.ts';
import { zonelistRows, zonelistText } from './zonelist_text.ts';

const KEPT = ['hmm', 'hmm-coherent', 'hmm-files', 'driver'] as const;

/** Small ones, with what they say of each of the designs. */
const SCENARIOS = [
  'bind-device',
  'buffer-from-driver',
  'cpuset-device-only',
  'home-node',
  'hugetlb-kept-off',
  'hybrid-flow',
  'input-on-device',
  'mixed-mask',
  'move-pages',
  'preferred-interleave-skip',
  'text-stays',
  'two-cpusets',
] as const;

test.each(SCENARIOS)('[ZDV8] %s does what it says where drivers keep their memory', (name) => {
  for (const id of KEPT) {
    const { scenario, machine } = loadScenario(name);
    const steps = new Session({ machine, design: findDesign(id), scenario }).finish();
    const failed = steps.flatMap((step) =>
      step.failed.map((f) => `${id}: ${step.op.text}: ${f.expected}, found ${f.found}`),
    );
    expect(failed).toEqual([]);
  }
});

describe('[EXP3] a page that a driver handed out', () => {
  const told = (text: string, design: string, atStep?: number) =>
    explainPage({
      ...parseWithMachine(`machine thread\ntask app\n${text}`, 'test.cdm'),
      design: findDesign(design),
      region: 'buf',
      index: 0,
      atStep,
    });

  test('is told by device, kind, and the step that put it there', () => {
    const text = 'app mmap buf 8 anon\napp device_compute gpu0 buf\napp touch buf\n';
    const e = told(text, 'hmm', 1);
    expect([e.state, e.nid, e.request]).toEqual(['page', 2, undefined]);
    expect(e.words).toMatch(/in the memory of gpu0 \(node 2 .*CPUs cannot map it/);
    expect(e.words).toMatch(/Step 2 \(app device_compute gpu0 buf\) put it there\.$/);
    expect(told(text, 'hmm').words).toMatch(
      /^The page is on node 0\. In step 3 .* brought back from the device, from node 2\.$/,
    );
    expect(told(text, 'hmm-coherent').words).toMatch(/gpu0.*CPUs use it in place/);
  });

  test('is told after it is gone, and as part of a buffer', () => {
    const gone = told('app mmap buf 8 anon\napp device_compute gpu0 buf\napp munmap buf\n', 'hmm');
    expect(gone.words).toMatch(/step 3 \(app munmap buf\) took it.*Step 2 .*put it there/);
    const buffer = told('app device_alloc gpu0 buf 8\n', 'driver');
    expect(buffer.words).toMatch(/page of the buffer is .*the kernel does not know of it/);
    expect(told('app device_alloc gpu0 buf 8\n', 'stock').request?.purpose).toBe('device buffer');
  });
});

test('[ZDV1] the lists say whose memory a node without memory is', () => {
  const { scenario, machine } = parseWithMachine('machine thread\ntask app\n', 'test.cdm');
  const { kernel } = new Session({ machine, design: findDesign('hmm'), scenario });
  const text = zonelistText(zonelistRows(kernel));
  expect(text).toMatch(/\[NODE \(2\)\] +no memory: kept by its driver \(private\)/);
  expect(text).not.toMatch(/\(node [234]\)/);
});
