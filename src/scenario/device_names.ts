// What is said of a device or a driver's policy that there is not.
import { didYouMean } from '../base/suggest.ts';
import { DEVICE_POLICIES, type DevicePolicy } from '../drivers/driver.ts';
import type { TaskAct } from './ops.ts';

/** @param others words that the operation takes beside names of devices. */
export function noSuchDevice(
  name: string,
  known: readonly string[],
  others: readonly string[] = [],
): string {
  const hint = didYouMean(name, [...known, ...others]);
  const names = known.join(', ') || 'none';
  const also = others.length === 0 ? '' : `; or ${others.join(', ')}`;
  return `the machine has no device "${name}"${hint}; it has: ${names}${also}`;
}

export const noSuchPolicy = (policy: string): string =>
  `"${policy}" is no device policy${didYouMean(policy, DEVICE_POLICIES)}; ` +
  `expected ${DEVICE_POLICIES.join(', ')}`;

export const isDevicePolicy = (policy: string): policy is DevicePolicy =>
  (DEVICE_POLICIES as readonly string[]).includes(policy);

/** Words that an operation takes in the place of a device. */
export const besideDevices = (act: TaskAct): readonly string[] =>
  act.verb === 'device_prefetch' ? ['cpu'] : [];

/** The device that an operation names, if it names one. */
export function deviceNamed(act: TaskAct): string | undefined {
  if (act.verb === 'mmap') return act.kind === 'device' ? act.file : undefined;
  return 'device' in act ? act.device : undefined;
}
