// Atomic accesses of a device, over a coherent link and without one; ranges shared with a CPU.
import { expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { findDesign } from '../designs/index.ts';

const FILES = 'sys mkfile data 16\n';
const AWAY = 'T0 device_policy gpu0 stay\n';

test.each(['stock', 'allocator-gate', 'hmm-coherent', 'hmm-files', 'driver'])(
  '[DRV16] %s: over a coherent link they are accesses like others, on shared pages too',
  (id) => {
    play(
      `${FILES}${AWAY}
      T0 mmap R0 16 anon
      T0 touch R0
      T0 device_compute gpu0 R0 atomic passes=2 -> 0; remote 32; moved 0; exclusive undefined
      T0 mmap R1 16 shared
      T0 touch R1
      T0 device_compute gpu0 R1 atomic -> 0; remote 16
      T0 mmap R2 16 file:data
      T0 read R2
      T0 device_compute gpu0 R2 atomic random accesses=4 -> 0; computed 16`,
      { design: findDesign(id) },
    );
  },
);

test('[DRV16] hmm: private pages are taken from the CPUs once, shared ones cannot be', () => {
  const { more } = play(
    `${FILES}${AWAY}
    T0 mmap R0 16 anon
    T0 touch R0
    T0 device_compute gpu0 R0 atomic passes=2 -> 0; remote 32; moved 0; exclusive 16
    T0 where R0 -> nodes 0:16
    T0 device_compute gpu0 R0 -> exclusive undefined
    T0 device_policy gpu0 migrate
    T0 device_compute gpu0 R0 atomic -> 0; local 16; moved 16; exclusive undefined
    T0 mmap R1 16 shared
    T0 touch R1
    T0 device_compute gpu0 R1 -> 0; remote 16
    T0 device_compute gpu0 R1 atomic -> EOPNOTSUPP
    T0 mmap R2 16 file:data
    T0 read R2
    T0 device_compute gpu0 R2 atomic random -> EOPNOTSUPP
    T0 mmap R3 16 file-private:data
    T0 device_policy gpu0 stay
    T0 device_compute gpu0 R3 atomic -> 0; remote 16; exclusive 16`,
    { design: findDesign('hmm') },
  );
  expect(more('T0 where R0')).toMatchObject({ counts: { ENOENT: 16 } });
});

test('[DRV17] a range shared with the CPU goes to and fro where the driver brings it back', () => {
  const shared = (policy: string, then: string): string =>
    `T0 device_policy gpu0 ${policy}\nT0 mmap R0 16 anon\nT0 touch R0\n${then}`;
  const turns = 'T0 device_compute gpu0 R0 shared passes=2 ->';
  const back = shared('migrate-back', `${turns} computed 32; moved 32\nT0 where R0 -> nodes 0:16`);
  play(back);
  play(shared('migrate', `${turns} local 32; moved 16\nT0 where R0 -> nodes 2:16`));
  play(shared('stay', `${turns} remote 32; moved 0\nT0 where R0 -> nodes 0:16`));
  // A CPU that cannot map the device's memory has its pages back whatever the policy.
  const away = shared('migrate', `${turns} local 32; moved 32\nT0 where R0 -> nodes 0:16`);
  play(away, { design: findDesign('hmm') });
});
