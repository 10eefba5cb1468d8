// What is said of a scenario before a guest runs it.
import { describe, expect, test } from 'vitest';
import { guestMachine } from '../guest/guest_machine.ts';
import { randomMachine } from '../guest/random_machine.ts';
import { parseScenario } from '../scenario/parser.ts';
import { sizeWords } from './kernel_run.ts';

describe('a scenario larger than its guest', () => {
  const guest = guestMachine(randomMachine('suite/6'));
  const mib = guest.nodes.reduce((sum, node) => sum + node.memoryMiB, 0);
  const words = (text: string): string[] =>
    sizeWords(parseScenario(text, { file: 'x.cdm' }), guest);

  test('is told with both sizes', () => {
    expect(words(`T0 mmap R0 ${mib * 256} anon`)).toEqual([]);
    const [said] = words(`T0 mmap R0 ${mib * 256} anon\nT0 mmap R1 1 anon`);
    expect(said).toContain(`maps ${mib + 1} MiB and the guest has ${mib} MiB`);
  });

  test('huge pages count as what they are', () => {
    expect(words(`T0 mmap R0 ${mib / 2} hugetlb`)).toEqual([]);
    expect(words(`T0 mmap R0 ${mib / 2 + 1} hugetlb`)).toHaveLength(1);
  });
});
