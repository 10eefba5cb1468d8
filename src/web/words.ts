// Numbers, sizes and lists as people read them. The same on every computer: no locale takes part.
import { thousands } from '../base/units.ts';
import { formatCpuList } from '../machine/cpu_list.ts';

/** `4,977`. */
export const count = thousands;

/** `1 page`, `2 pages`, `no pages`. */
export const counted = (n: number, noun: string, plural = `${noun}s`): string => {
  if (n === 0) return `no ${plural}`;
  return `${count(n)} ${n === 1 ? noun : plural}`;
};

/** Like counted, with a figure for none: `0 pages`. */
export const figure = (n: number, noun: string, plural = `${noun}s`): string =>
  `${count(n)} ${n === 1 ? noun : plural}`;

/** `478 GiB`, `2.2 MiB`: three digits are enough to know a node by. */
export function roughSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  const isExact = Number.isInteger(value);
  return `${value.toFixed(isExact || value >= 100 ? 0 : 1)} ${units[unit]}`;
}

/** `1.64`; `0` when nothing was asked. */
export const perRequest = (total: number, nr: number): string =>
  nr === 0 ? '0' : (total / nr).toFixed(2);

/** `12.3 ms`. */
export function roughTime(ns: number): string {
  const steps: readonly [number, string][] = [
    [1e9, 's'],
    [1e6, 'ms'],
    [1e3, 'us'],
  ];
  const [factor, unit] = steps.find(([f]) => ns >= f) ?? [1, 'ns'];
  const value = ns / factor;
  return `${value >= 100 ? Math.round(value) : Number(value.toPrecision(3))} ${unit}`;
}

/** `0-3,8`. */
export const numberList = (numbers: readonly number[]): string => formatCpuList(numbers);

/** `a`, `a and b`, `a, b and c`. */
export function inWords(items: readonly string[]): string {
  if (items.length < 2) return items[0] ?? '';
  return `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

/** Steps count from 0 in data and from 1 for people. */
export const stepNumber = (index: number): number => index + 1;

/** Tasks and regions have no blanks in their names, so this tells them apart. */
export const regionKey = (task: string, region: string): string => `${task} ${region}`;
