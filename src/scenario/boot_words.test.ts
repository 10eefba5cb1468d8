// The words of the kernel's command line: of a scenario strictly, of a recorded line as it comes.
import { describe, expect, test } from 'vitest';
import { readBootWords, recordedBootOptions } from './boot_words.ts';
import { parseScenario } from './parser.ts';
import { printScenario } from './print.ts';

const read = (text: string) => readBootWords(text.split(' '));

describe('of a scenario', () => {
  test('[BOT1] pools of both sizes, by number and by node, and the switches', () => {
    expect(read('hugepages=3 hugepagesz=1G hugepages=0:2,1:3')).toEqual({
      bootPool: 3,
      giganticBootPool: new Map([
        [0, 2],
        [1, 3],
      ]),
    });
    expect(read('hugepagesz=2048K hugepages=1:4')).toEqual({ bootPool: new Map([[1, 4]]) });
    expect(
      read('transparent_hugepage=madvise numa_balancing=enable memhp_default_state=online_kernel'),
    ).toEqual({
      transparentHugepage: 'madvise',
      numaBalancing: 1,
      memhpDefaultState: 'online_kernel',
    });
  });

  test.each([
    ['hugepages', '"hugepages=" is no pool'],
    ['hugepages=0:1,2', '"hugepages=0:1,2" is no pool'],
    ['hugepages=99999999', 'is too large'],
    ['hugepagesz=16G', '"hugepagesz=16G" is no size of huge pages here; expected hugepagesz=2M'],
    ['hugepage=4', '"hugepage=4" is no word of the command line that is known here'],
    ['hugepage=4', 'did you mean "hugepages"?'],
    ['transparent_hugepage=alway', 'did you mean "always"?'],
    ['hugepages=1 hugepages=2', '"hugepages" comes a second time'],
    ['numa_balancing=1', 'expected numa_balancing= and one of enable, disable'],
  ])('[BOT1] %s', (text, message) => {
    expect(() => parseScenario(`boot ${text}\n`, { file: 'x.cdm' })).toThrow(message);
  });

  test('[BOT1] stands above the first operation, once, and is printed as it was', () => {
    const text = 'boot hugepagesz=1G hugepages=2 numa_balancing=enable\nT0 cpu 0';
    const scenario = parseScenario(text, { file: 'x.cdm' });
    expect(scenario.boot).toEqual(['hugepagesz=1G', 'hugepages=2', 'numa_balancing=enable']);
    const again = parseScenario(printScenario(scenario), { file: 'x.cdm' });
    expect(again.boot).toEqual(scenario.boot);
    expect(() => parseScenario(`${text}\nboot hugepages=1`, { file: 'x.cdm' })).toThrow('above');
    expect(() => parseScenario('boot hugepages=1\nboot hugepages=1', { file: 'x' })).toThrow(
      'a second time',
    );
  });
});

test('[BOT1] of a recorded line unknown words are passed over, and the last of two counts', () => {
  const line =
    'console=ttyS0 hugepages=0:2,1:3 transparent_hugepage=never quiet memhp_default_state=offline ' +
    'transparent_hugepage=always numa_balancing=disable memhp_default_state=online_kernel';
  expect(recordedBootOptions(line)).toEqual({
    bootPool: new Map([
      [0, 2],
      [1, 3],
    ]),
    transparentHugepage: 'always',
    numaBalancing: 0,
    memhpDefaultState: 'online_kernel',
  });
});
