// A plain PC: one node, no device memory. The machine on which nothing of this project matters.
// Source   none needed: 16 GiB and 8 CPUs are chosen.
import type { Machine } from '../machine.ts';
import { buildPreset } from './preset.ts';

export const pc = (): Machine =>
  buildPreset({
    name: 'pc',
    note: 'A PC with 8 CPUs and 16 GiB in one node; chosen, not captured.',
    arch: 'x86_64',
    nodes: [{ id: 0, cpus: '0-7', memory: '16GiB' }],
  });
