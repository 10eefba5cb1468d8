// Blocks that go to and fro between CPUs and device: when a driver takes it for a fight, and what
// it does then.
import { describe, expect, test } from 'vitest';
import { play } from '../../test/support/play.ts';
import { findDesign } from '../designs/index.ts';

const START = `
  T0 mmap R0 2048 anon
  T0 touch R0
  T0 device_policy gpu0 migrate-back
`;
const turn = (pages: number): string => `
  T0 device_compute gpu0 R0 0 ${pages}
  T0 touch R0 0 ${pages}`;

describe('where CPUs can map the memory', () => {
  test('[DRV18] after three moves that follow two others at once a block stays on the device', () => {
    play(`${START}
      T0 device_compute gpu0 R0 0 16 shared passes=2 -> moved 32
      T0 where R0 0 16 -> nodes 0:16
      T0 device_compute gpu0 R0 0 16 shared passes=8 -> computed 128; moved 16; pinned 1
      T0 where R0 0 16 -> nodes 2:16
      T0 touch R0 0 16
      T0 device_compute gpu0 R0 0 16 -> local 16; moved 0
      T0 where R0 0 16 -> nodes 2:16
    `);
  });

  test('[DRV18] each block by itself', () => {
    play(`${START}
      T0 device_compute gpu0 R0 0 16 shared passes=8 -> moved 48; pinned 1
      T0 device_compute gpu0 R0 512 16
      T0 touch R0 0 528
      T0 where R0 0 16 -> nodes 2:16
      T0 where R0 512 16 -> nodes 0:16
    `);
  });

  test('[DRV18] what takes long enough in between is no fight: two blocks, or work', () => {
    const { steps } = play(`${START}
      T0 device_compute gpu0 R0 0 1024 shared passes=8 -> moved 8192
      T0 where R0 0 1024 -> nodes 0:1024
      ${`${turn(8)}\n      T0 work R0 1024 1 1`.repeat(8)}
      T0 where R0 0 8 -> nodes 0:8
    `);
    const moved = steps.filter((step) => step.op.text.includes('R0 0 8') && step.result['moved']);
    expect(moved.map((step) => step.result['moved'])).toEqual(Array(8).fill(8));
  });

  test('[DRV18] it is let go after 150 ms', () => {
    play(`${START}${turn(8).repeat(5)}
      T0 where R0 0 8 -> nodes 2:8
      T0 work R0 1024 1 140
      T0 touch R0 0 8
      T0 where R0 0 8 -> nodes 2:8
      T0 work R0 1024 1 12
      T0 touch R0 0 8
      T0 where R0 0 8 -> nodes 0:8
    `);
  });

  test('[DRV20] what a program commands is no fight, and ends one', () => {
    const command = `
      T0 device_prefetch gpu0 R0 0 8 -> moved 8
      T0 device_prefetch cpu R0 0 8 -> moved 8`;
    play(`${START}${command.repeat(6)}
      ${turn(8).repeat(2)}
      T0 device_prefetch gpu0 R0 0 8
      ${turn(8).repeat(2)}
      T0 where R0 0 8 -> nodes 0:8
    `);
  });
});

test('[DRV19] where CPUs cannot, one goes on and the other waits; nothing is pinned', () => {
  const { steps } = play(
    `
    T0 mmap R0 64 anon
    T0 touch R0
    ${`
    T0 device_compute gpu0 R0 0 8 -> local 8; moved 8
    T0 touch R0 0 8`.repeat(12)}
    T0 where R0 0 8 -> nodes 0:8
    `,
    { design: findDesign('hmm') },
  );
  const waits = steps.map((step) => step.result['throttled'] ?? 0).filter((_, i) => i % 2 === 0);
  // Five moves until it is seen, one that goes on, and the device waits for its fourth. Then anew,
  // but now the block is followed from its first move on.
  expect(waits.slice(1, 13)).toEqual([0, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0]);
  expect(steps.some((step) => step.result['pinned'] !== undefined)).toBe(false);
});
