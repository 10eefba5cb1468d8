// What is odd about a machine and allowed: hardware as no kernel would take it, told and not
// refused, since captures of real machines have some of it.
// Models   linux@v6.1 drivers/acpi/numa/srat.c: slit_valid; arch/x86/mm/numa.c: NODE_MIN_SIZE;
//          mm/memory_hotplug.c: check_hotplug_memory_range.
import { UserError } from '../base/assert.ts';
import { formatSizeBytes } from '../base/units.ts';
import { LOCAL_DISTANCE } from './check.ts';
import { type Machine, nodeSizeBytes } from './machine.ts';
import { memoryBlockBytes } from './zones.ts';

const MIB = 1024 ** 2;
/** Smaller nodes are passed over by x86 when it boots. */
const NODE_MIN_BYTES = 4 * MIB;
/** With less boot memory than this no kernel starts. */
const BOOT_MIN_BYTES = 32 * MIB;

/** Oddities in words, one each, without an end mark. */
export function machineDoubts(machine: Machine): string[] {
  const { nodes, distances } = machine;
  const tiny = nodes.filter((n) => nodeSizeBytes(n) > 0 && nodeSizeBytes(n) < NODE_MIN_BYTES);
  const doubts = tiny.map(
    (n) =>
      `node ${n.id} has ${formatSizeBytes(nodeSizeBytes(n))} of memory: x86 ignores nodes below ` +
      `${formatSizeBytes(NODE_MIN_BYTES)}, and per-CPU lists alone may hold it all`,
  );
  const blockBytes = memoryBlockBytes(machine);
  for (const { id, memoryZone, ranges } of nodes) {
    const sizeBytes = ranges.reduce((sum, range) => sum + range.sizeBytes, 0);
    if (memoryZone !== 'movable' || sizeBytes === 0 || sizeBytes >= blockBytes) continue;
    doubts.push(
      `node ${id} has ${formatSizeBytes(sizeBytes)} of hot-plugged memory, less than a memory ` +
        `block (${formatSizeBytes(blockBytes)} on this ${machine.arch}): kernels plug memory in by ` +
        'whole blocks and refuse it; here it is one block, as small as it is',
    );
  }
  for (const { name, homeNode } of machine.devices) {
    const home = nodes.find((n) => n.id === homeNode);
    if (home === undefined || home.cpus.length > 0) continue;
    doubts.push(
      `device ${name} hangs on node ${homeNode}, which has no CPUs: what it evicts goes to the ` +
        'nearest system memory from there',
    );
  }
  const close = nodes.flatMap((from, i) =>
    nodes.flatMap((to, j) =>
      i < j && distances[i]?.[j] === LOCAL_DISTANCE ? [`${from.id} and ${to.id}`] : [],
    ),
  );
  const [first] = close;
  if (first === undefined) return doubts;
  const more = close.length > 1 ? ` (and ${close.length - 1} more pairs)` : '';
  return [
    ...doubts,
    `nodes ${first}${more} are at distance ${LOCAL_DISTANCE}, as near as a node to itself: POWER ` +
      'firmware says so of nodes in one chip, x86 and arm64 refuse the table; others are 11 to 255',
  ];
}

/** @throws UserError for a machine in whose boot memory no kernel starts. */
export function refuseWithoutRoom(machine: Machine, file: string): void {
  const bootBytes = machine.nodes
    .filter((n) => n.memoryZone === 'boot')
    .reduce((sum, n) => sum + nodeSizeBytes(n), 0);
  if (bootBytes >= BOOT_MIN_BYTES) return;
  throw new UserError(
    `boot memory comes to ${formatSizeBytes(bootBytes)}, in which no kernel starts; give nodes ` +
      `without memoryZone "movable" ${formatSizeBytes(BOOT_MIN_BYTES)} or more together`,
    { file },
  );
}
