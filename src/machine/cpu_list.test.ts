// CPU lists and masks, read and printed.
import { describe, expect, test } from 'vitest';
import { formatCpuList, parseCpuList, parseCpuMask } from './cpu_list.ts';

describe('CPU lists and masks', () => {
  test('a list has single CPUs, ranges and strides, in any order, with commas or blanks', () => {
    expect(parseCpuList('0-3,8')).toEqual([0, 1, 2, 3, 8]);
    expect(parseCpuList('8 0 1')).toEqual([0, 1, 8]);
    expect(parseCpuList('0-7:2/4')).toEqual([0, 1, 4, 5]);
    expect(parseCpuList('')).toEqual([]);
    expect(parseCpuList('3,3,2-3')).toEqual([2, 3]);
  });

  test('what is no list, or names a CPU of 4096 or more, is undefined', () => {
    for (const text of ['0-', 'a', '3-1', '0x3', '4096', '0-99999999999', '0-7:3/2', '1.5', '-1']) {
      expect(parseCpuList(text), text).toBeUndefined();
    }
  });

  test('a mask is words of 32 bits, highest first', () => {
    expect(parseCpuMask('00000003')).toEqual([0, 1]);
    expect(parseCpuMask('0f,00000000,80000001')).toEqual([0, 31, 64, 65, 66, 67]);
    expect(parseCpuMask('0,0')).toEqual([]);
    for (const text of ['', 'xyz', '123456789', 'f,,f']) {
      expect(parseCpuMask(text), text).toBeUndefined();
    }
    expect(parseCpuMask(`1,${Array.from({ length: 128 }, () => '0').join(',')}`)).toBeUndefined();
  });

  test('a list is printed as short as the kernel prints it', () => {
    expect(formatCpuList([0, 1, 2, 3, 8, 10, 11])).toBe('0-3,8,10-11');
    expect(formatCpuList([])).toBe('');
  });
});
