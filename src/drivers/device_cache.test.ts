// What a device keeps of memory elsewhere, what its counters see then, and what makes it forget.
import { describe, expect, test } from 'vitest';
import { bench, play } from '../../test/support/play.ts';
import { checkAll } from '../checkers/index.ts';
import { findDesign } from '../designs/index.ts';
import type { CacheSpec, Machine } from '../machine/machine.ts';
import { findPreset } from '../machine/presets/index.ts';

const SOURCE = 'made up for a test';

/** 64 pages, as CAPI has them; of the bench machine. */
const cached = (change: Partial<CacheSpec> = {}, machine = bench()): Machine => {
  const cache: CacheSpec = {
    sizeBytes: 64 * 4096,
    holds: 'elsewhere',
    isCoherent: true,
    isWriteBack: true,
    source: SOURCE,
    ...change,
  };
  return { ...machine, devices: machine.devices.map((device) => ({ ...device, cache })) };
};

/** Plays a text on such a machine, and has everything checked at the end. */
function run(text: string, machine = cached()) {
  const played = play(text, { machine });
  expect(checkAll(played.kernel)).toEqual([]);
  return played;
}

const START = `
  T0 mmap R0 512 anon
  T0 touch R0
  T0 device_policy gpu0 stay
`;

describe('visits', () => {
  test('[DCH1] what fits is answered from the second pass on; what does not, never', () => {
    run(`${START}
      T0 device_compute gpu0 R0 0 64 passes=3 -> computed 192; local 0; remote 192; cached 128
      T0 device_compute gpu0 R0 0 64 -> remote 64; cached 64
      T0 device_compute gpu0 R0 0 65 passes=3 -> remote 195; cached 64
      T0 device_compute gpu0 R0 100 65 passes=3 -> remote 195
    `);
  });

  test('[DCH1] the page used least recently makes room', () => {
    run(`${START}
      T0 device_compute gpu0 R0 0 64
      T0 device_compute gpu0 R0 0 1 -> cached 1
      T0 device_compute gpu0 R0 100 1
      T0 device_compute gpu0 R0 0 1 -> cached 1
      T0 device_compute gpu0 R0 1 1 -> remote 1
      T0 device_compute gpu0 R0 3 61 -> cached 61
    `);
  });

  test('[DCH2] accesses of a visit go on through the page, and use lines of the cache', () => {
    const { steps } = run(`${START}
      T0 device_compute gpu0 R0 0 1 accesses=16 passes=4 -> remote 4; cached 2
      T0 device_compute gpu0 R0 1 128 accesses=15
      T0 device_compute gpu0 R0 1 128 accesses=15
      T0 device_compute gpu0 R0 200 1 accesses=9999 passes=2 -> cached 1
    `);
    expect(steps.at(-2)?.result['cached']).toBeUndefined();
  });

  test('[DCH1] any order of visits', () => {
    const { steps } = run(`${START}
      T0 device_compute gpu0 R0 0 64 random accesses=32 passes=9 seed=4
      T0 device_compute gpu0 R0 0 512 hot accesses=32 passes=9 seed=4
    `);
    const [few, hot] = steps.slice(-2).map((step) => Number(step.result['cached']));
    expect(few).toBe(9 * 64 - 64);
    // Nine of ten visits go to 51 pages, which fit.
    expect(hot).toBeGreaterThan(0.7 * 9 * 512);
    expect(hot).toBeLessThan(0.95 * 9 * 512);
  });

  test('[DCH5] its own memory takes room in a cache that holds all, and is never counted', () => {
    run(
      `${START}
      T0 mmap R1 64 anon
      T0 device_compute gpu0 R1 -> local 64
      T0 device_compute gpu0 R1 -> local 64
      T0 device_compute gpu0 R0 0 32 passes=2 -> remote 64; cached 32
      T0 device_compute gpu0 R1
      T0 device_compute gpu0 R0 0 32 -> remote 32
      `,
      cached({ holds: 'all' }),
    );
    const own = run(`${START}\nT0 device_compute gpu0 R0 0 8 passes=4`, cached({ holds: 'own' }));
    expect(own.kernel.allocator.watch).toBeNull();
    expect(own.steps.at(-1)?.result).toMatchObject({ remote: 32 });
    expect(own.steps.at(-1)?.result).not.toHaveProperty('cached');
  });
});

describe('coherence', () => {
  test('[DCH3] a CPU that writes takes the copy away, one that reads only the right to write', () => {
    run(`${START}
      T0 device_compute gpu0 R0 0 8
      T0 read R0 0 8
      T0 device_compute gpu0 R0 0 8 reading -> cached 8
      T0 device_compute gpu0 R0 0 8 -> remote 8
      T0 device_compute gpu0 R0 0 8 -> cached 8
      T0 touch R0 0 4
      T0 device_compute gpu0 R0 0 8 reading -> remote 8; cached 4
    `);
  });

  test('[DCH3] whoever writes: another task, a file call', () => {
    run(`
      sys mkfile data 8
      T0 mmap R0 8 file:data
      T0 device_policy gpu0 stay
      T0 device_compute gpu0 R0
      T0 device_compute gpu0 R0 -> cached 8
      T0 writefile data 0 3
      T0 device_compute gpu0 R0 reading -> cached 5
      fork T0 T1
      T1 touch R0 3 2
      T0 device_compute gpu0 R0 reading -> cached 6
    `);
  });

  test('[DCH3] what is given back, moved or swapped out is gone', () => {
    run(`${START}
      T0 device_compute gpu0 R0 0 32
      T0 munmap R0 0 8
      T0 move_pages R0 8 8 1
      T0 madvise R0 16 8 dontneed
      T0 touch R0 16 8
      T0 device_compute gpu0 R0 8 24 -> remote 24; cached 8
      sys swapon 1000
      T0 madvise R0 24 8 pageout
      T0 device_compute gpu0 R0 24 8 -> remote 8
    `);
  });

  test('[DCH3] the same page at the same place after it was given back is another', () => {
    run(`
      T0 mmap R0 8 anon
      T0 touch R0
      T0 device_policy gpu0 stay
      T0 device_compute gpu0 R0
      T0 munmap R0
      T0 mmap R0 8 anon
      T0 touch R0
      T0 device_compute gpu0 R0 reading -> remote 8
    `);
  });

  test('[DCH4] a page that others may share is written to through a fault', () => {
    const { steps } = run(`${START}
      T0 device_compute gpu0 R0 0 8
      fork T0 T1
      T0 device_compute gpu0 R0 0 8 reading -> cached 8
      T0 device_compute gpu0 R0 0 8 -> remote 8
      T0 device_compute gpu0 R0 0 8 -> cached 8
      T1 device_compute gpu0 R0 0 8 reading -> cached 8
    `);
    expect(steps.at(-3)?.result).not.toHaveProperty('cached');
  });

  test('[DCH4] of two devices one has the copy that may be written to', () => {
    const two = findPreset('thread') as Machine;
    run(
      `
      T0 mmap R0 8 anon
      T0 touch R0
      T0 device_policy gpu0 stay
      T0 device_policy gpu1 stay
      T0 device_compute gpu0 R0
      T0 device_compute gpu1 R0 reading
      T0 device_compute gpu0 R0 reading -> cached 8
      T0 device_compute gpu1 R0 -> remote 8
      T0 device_compute gpu0 R0 reading -> remote 8
      T0 device_compute gpu1 R0 -> remote 8
      T0 device_compute gpu1 R0 -> cached 8
      `,
      cached({ sizeBytes: 64 * 65536 }, two),
    );
  });

  test('[DCH3] what a device had written before it stopped is news to others too', () => {
    run(
      `
      T0 mmap R0 8 anon
      T0 touch R0
      T0 device_policy gpu0 stay
      T0 device_policy gpu1 stay
      T0 munmap R0 6 1
      T0 device_compute gpu0 R0 0 6
      T0 device_compute gpu1 R0 0 8 -> SIGSEGV; computed 6
      T0 device_compute gpu0 R0 0 6 reading -> remote 6
      T0 device_compute gpu1 R0 0 6 reading -> cached 6
      `,
      cached({ sizeBytes: 64 * 65536 }, findPreset('thread') as Machine),
    );
  });

  test('[DCH4] writes go through a cache that does not keep them, and it keeps the page', () => {
    run(
      `${START}
      T0 device_compute gpu0 R0 0 8 passes=3 -> remote 24
      T0 device_compute gpu0 R0 0 8 reading -> cached 8
      `,
      cached({ isWriteBack: false }),
    );
  });

  test('[DCH6] without coherence it is empty at the start of a computation', () => {
    run(
      `${START}
      T0 device_compute gpu0 R0 0 8 reading passes=2 -> cached 8
      T0 device_compute gpu0 R0 0 8 reading -> remote 8
      T0 device_compute gpu0 R0 0 8 reading shared passes=2 -> remote 16
      `,
      cached({ isCoherent: false }),
    );
  });

  test('[DCH4] atomic accesses are those of memory, and end the copy', () => {
    run(`${START}
      T0 device_compute gpu0 R0 0 8
      T0 device_compute gpu0 R0 0 8 atomic passes=2 -> remote 16
      T0 device_compute gpu0 R0 0 8 reading -> remote 8
    `);
  });
});

describe('counters', () => {
  test('[DCH2] count only what leaves the device: a block that fits never comes', () => {
    const text = `
      T0 mmap R0 512 anon
      T0 touch R0
      T0 device_policy gpu0 counters threshold=8192
      T0 device_compute gpu0 R0 0 64 passes=50
      T0 where R0 -> nodes 0:512
      T0 device_compute gpu0 R0 0 128 passes=2 -> moved 512
    `;
    run(text);
    expect(() => play(text)).toThrow(/to deeply equal/);
  });
});

test('a prefetch after atomic accesses is no atomic access', () => {
  play(
    `
    T0 mmap R0 8 shared
    T0 mmap R1 8 anon
    T0 touch R0
    T0 device_compute gpu0 R1 atomic -> 0
    T0 device_prefetch gpu0 R0 -> 0
    `,
    { design: findDesign('hmm') },
  );
});
