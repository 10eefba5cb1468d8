// Operations that a task asks of a device: compute, prefetch, advice, and how its driver is to act.
import { UserError } from '../base/assert.ts';
import { ENODEV, ENOMEM } from '../base/errno.ts';
import { GRANULARITIES } from '../drivers/access_counters.ts';
import type { Pattern } from '../drivers/access_pattern.ts';
import { ADVICE } from '../drivers/block_table.ts';
import type { ComputeResult, Device } from '../drivers/device.ts';
import { mapBuffer } from '../kernel/device_file.ts';
import { FAULT, touchPages } from '../kernel/fault.ts';
import { besideDevices, isDevicePolicy, noSuchDevice, noSuchPolicy } from './device_names.ts';
import { COMPUTE_SHAPES, type OpResult, type TaskAct } from './ops.ts';
import { faultResult, plain } from './run_results.ts';
import { stopRetrying, type TaskContext } from './run_task.ts';

type Act<V extends TaskAct['verb']> = Extract<TaskAct, { verb: V }>;
type DeviceAct = Extract<TaskAct, { device: string }>;

const MAX_THRESHOLD = 65535;

/** Runs one operation of a device. */
export function runDevice(c: TaskContext, act: DeviceAct): OpResult {
  switch (act.verb) {
    case 'device_compute':
      return compute(c, act);
    case 'device_policy':
      return setPolicy(c, act);
    case 'device_prefetch':
      return prefetch(c, act);
    case 'device_advise':
      return advise(c, act);
  }
}

/** @param others words that the operation takes beside names of devices. */
function deviceOf(c: TaskContext, name: string, others: readonly string[] = []): Device {
  const device = c.devices.get(name);
  if (device !== undefined) return device;
  if (c.k.machine.devices.some((d) => d.name === name)) {
    throw new UserError(
      `device "${name}" has no memory node of its own, and a driver here has one to see to`,
    );
  }
  throw new UserError(noSuchDevice(name, [...c.devices.keys()], others));
}

/**
 * Allocates memory of a device and maps it: all of it, or ENOMEM, which is the driver's answer and
 * has nothing to do with what the kernel has left.
 */
export function allocate(c: TaskContext, act: Act<'mmap'>): OpResult {
  const { k, task, regions } = c;
  const { name, driver } = deviceOf(c, act.file as string);
  const startVpn = regions.place(act.region, act.nrPages, act.shift);
  if (!driver.frames.isThere) return plain(-ENODEV);
  const { nrEvicted } = driver;
  const frames = driver.allocate(task, act.nrPages);
  if (!task.isAlive || frames === undefined) return plain(-ENOMEM);
  const isForCpus = !driver.frames.isPrivate;
  const error = mapBuffer(k, task, startVpn, { device: name, nid: driver.nid, frames, isForCpus });
  const evicted = driver.nrEvicted - nrEvicted;
  if (error !== 0) return plain(error);
  return { ret: 0, pageBytes: k.mem.pageBytes, ...(evicted > 0 ? { evicted } : {}) };
}

function compute(c: TaskContext, act: Act<'device_compute'>): OpResult {
  const { startVpn, nrPages } = c.regions.range(act);
  const isRead = act.words.includes('reading');
  // Shared with the CPU: the two take turns, pass by pass.
  const nrTurns = act.words.includes('shared') ? (act.passes ?? 1) : 0;
  const { driver } = deviceOf(c, act.device);
  const { nrPinned, nrThrottled } = driver.thrash;
  const sum = { computed: 0, local: 0, remote: 0, moved: 0, cached: 0, evicted: 0, exclusive: 0 };
  for (let turn = 0; turn < Math.max(1, nrTurns); turn++) {
    const done = deviceOf(c, act.device).compute(c.task, startVpn, nrPages, {
      pattern: act.words.find((word) => COMPUTE_SHAPES.includes(word)) as Pattern | undefined,
      passes: nrTurns === 0 ? act.passes : 1,
      stridePages: act.stride,
      seed: (act.seed ?? 0) + turn,
      accesses: act.accesses,
      isRead,
      isAtomic: act.words.includes('atomic'),
    });
    if (done.ret < 0) return plain(done.ret);
    if (done.fault.fault !== FAULT.OK) return stopped(c, done);
    sum.computed += done.fault.done;
    sum.local += done.nrLocal;
    sum.remote += done.nrRemote;
    sum.moved += done.nrMoved;
    sum.cached += done.nrCached;
    sum.evicted += done.nrEvicted;
    sum.exclusive += done.nrExclusive;
    if (nrTurns === 0) continue;
    for (const each of c.devices.values()) {
      each.driver.beforeCpuUse(c.task, startVpn, nrPages);
    }
    const run = touchPages(c.k, c.task, startVpn, nrPages, !isRead);
    stopRetrying(c, run.fault);
    if (run.fault !== FAULT.OK) return faultResult(run, 'touched');
  }
  const { cached, evicted, exclusive, ...always } = sum;
  const pinned = driver.thrash.nrPinned - nrPinned;
  const throttled = driver.thrash.nrThrottled - nrThrottled;
  return {
    ret: 0,
    ...always,
    ...(cached > 0 ? { cached } : {}),
    ...(evicted > 0 ? { evicted } : {}),
    ...(exclusive > 0 ? { exclusive } : {}),
    ...(pinned > 0 ? { pinned } : {}),
    ...(throttled > 0 ? { throttled } : {}),
  };
}

function stopped(c: TaskContext, done: ComputeResult): OpResult {
  stopRetrying(c, done.fault.fault);
  return faultResult(done.fault, 'computed');
}

function prefetch(c: TaskContext, act: Act<'device_prefetch'>): OpResult {
  const { startVpn, nrPages } = c.regions.range(act);
  const toCpu = act.device === 'cpu';
  const devices = toCpu ? [...c.devices.values()] : [deviceOf(c, act.device, besideDevices(act))];
  let nrMoved = 0;
  let nrEvicted = 0;
  for (const device of devices) {
    const done = toCpu
      ? device.prefetchToCpu(c.task, startVpn, nrPages)
      : device.prefetch(c.task, startVpn, nrPages);
    if (done.ret < 0) return plain(done.ret);
    if (done.fault.fault !== FAULT.OK) return stopped(c, done);
    nrMoved += done.nrMoved;
    nrEvicted += done.nrEvicted;
  }
  return { ret: 0, moved: nrMoved, ...(nrEvicted > 0 ? { evicted: nrEvicted } : {}) };
}

const ADVICE_OF = { device: ADVICE.PREFER_DEVICE, cpu: ADVICE.PREFER_CPU, none: ADVICE.NONE };

function advise(c: TaskContext, act: Act<'device_advise'>): OpResult {
  const { startVpn, nrPages } = c.regions.range(act);
  deviceOf(c, act.device).driver.advise(c.task, startVpn, nrPages, ADVICE_OF[act.advice]);
  return { ret: 0 };
}

function setPolicy(c: TaskContext, act: Act<'device_policy'>): OpResult {
  if (!isDevicePolicy(act.policy)) {
    throw new UserError(noSuchPolicy(act.policy));
  }
  if (act.threshold !== undefined && (act.threshold < 1 || act.threshold > MAX_THRESHOLD)) {
    throw new UserError(`threshold=${act.threshold}: expected 1..${MAX_THRESHOLD} accesses`);
  }
  if (act.granularity !== undefined && !GRANULARITIES.includes(act.granularity)) {
    throw new UserError(
      `granularity=${act.granularity}: expected 64KiB, 2MiB, 16MiB or 16GiB, as hardware counts`,
    );
  }
  const { driver } = deviceOf(c, act.device);
  driver.policy = act.policy;
  if (act.threshold !== undefined) driver.counters.threshold = act.threshold;
  if (act.granularity !== undefined) driver.counters.setGranularity(act.granularity);
  if (act.words.length > 0) driver.evicts = act.words.includes('evict');
  return { ret: 0 };
}
