// Sentences of the thread with a must, a never or a cannot in them, each as a few operations with
// what has to come out, under the design that it is about. docs/CLAIMS.md lists all such sentences;
// those that are run here stand there with the same author, date and number.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { findDesign } from '../designs/index.ts';
import { parseWithMachine } from './load_scenario.ts';
import { Session } from './session.ts';

const DOC = readFileSync(new URL('../../docs/CLAIMS.md', import.meta.url), 'utf8');

interface Claim {
  readonly by: string;
  readonly date: string;
  /** What follows from it, in our words. */
  readonly says: string;
  readonly designs: readonly string[];
  /** Operations on the thread's machine. */
  readonly run: string;
}

const HMMS = ['hmm', 'hmm-coherent'];
/** The device and a CPU use a buffer of 8 pages, one after the other. */
const TURN = 'app device_compute gpu0 buf\napp touch buf\n';
const THREAD = ['allocator-gate', 'zonelist', 'limited-node'];

const CLAIMS: readonly Claim[] = [
  {
    by: 'Anshuman Khandual',
    date: '2017-02-21',
    says: 'with HMM a program cannot allocate on the device by mmap and mbind',
    designs: HMMS,
    run: 'app mmap buf 16 anon\napp mbind buf 0 16 bind 2 -> EINVAL\napp touch buf\napp where buf -> nodes 0:16',
  },
  {
    by: 'Jerome Glisse',
    date: '2017-02-21',
    says: 'HMM has no pages of files on the device',
    designs: HMMS,
    run: 'sys mkfile f 16\napp mmap in 16 file:f\napp read in\napp device_compute gpu0 in reading -> moved 0\nsys cached f -> nodes 0:16',
  },
  {
    by: 'Jerome Glisse',
    date: '2017-02-24',
    says: 'where CPUs cannot reach HMM memory, a touch brings the page back',
    designs: ['hmm'],
    run: 'app mmap buf 16 anon\napp touch buf\napp device_compute gpu0 buf -> moved 16\napp touch buf 0 4 -> 0\napp where buf 0 4 -> nodes 0:4',
  },
  {
    by: 'Jerome Glisse',
    date: '2017-02-22',
    says: 'with coherent memory a CPU uses a page where it is',
    designs: ['stock', ...THREAD, 'hmm-coherent'],
    run: 'app device_policy gpu0 migrate\napp mmap buf 16 anon\napp touch buf\napp device_compute gpu0 buf -> moved 16\napp touch buf -> 0; touched 16\napp device_compute gpu0 buf -> local 16; moved 0',
  },
  {
    by: 'Jerome Glisse',
    date: '2017-02-23',
    says: 'nobody may pin pages in device memory for long, so that it can be taken back',
    designs: ['hmm-coherent'],
    run: 'app mmap buf 16 anon\napp touch buf\napp device_compute gpu0 buf -> moved 16\napp pin buf 0 16 longterm -> 0\napp where buf -> nodes 0:16',
  },
  {
    by: 'Michal Hocko',
    date: '2017-02-22',
    says: 'a program may map the device file instead; what it allocates otherwise stays in RAM',
    designs: ['driver'],
    run: 'app mmap buf 16 anon\napp touch buf\napp device_compute gpu0 buf -> remote 16; moved 0\napp where buf -> nodes 0:16',
  },
  {
    by: 'Anshuman Khandual',
    date: '2017-03-08',
    says: 'not so: on the rebuilt lists not only __GFP_THISNODE reaches the device, a preferred node does too',
    designs: ['zonelist'],
    run: 'app mmap buf 16 anon\napp mbind buf 0 16 preferred 2\napp touch buf\napp where buf -> nodes 2:16',
  },
  {
    by: 'Anshuman Khandual',
    date: '2017-03-08',
    says: 'device memory can be had by MPOL_BIND',
    designs: ['stock', ...THREAD],
    run: 'app mmap buf 16 anon\napp mbind buf 0 16 bind 2\napp touch buf\napp where buf -> nodes 2:16',
  },
  {
    by: 'Anshuman Khandual',
    date: '2017-02-21',
    says: 'a policy that forbids the device keeps an area off it',
    designs: ['stock', 'allocator-gate', 'zonelist'],
    run: 'app set_mempolicy bind 2\nfork app kid\nkid set_mempolicy bind 0,1\nkid mmap heap 16 anon\nkid touch heap\nkid where heap -> nodes 0:16',
  },
  {
    by: 'Anshuman Khandual',
    date: '2017-02-15',
    says: 'pools of huge pages without a policy leave the device alone',
    designs: THREAD,
    run: 'sys write /proc/sys/vm/nr_hugepages 10\nsys read /sys/devices/system/node/node2/hugepages/hugepages-2048kB/nr_hugepages -> value 0',
  },
  {
    by: 'Jerome Glisse',
    date: '2017-02-21',
    says: 'by the page, balancing leaves device memory alone while the rest of the area takes part',
    designs: ['by-page'],
    run: 'app mmap buf 32 anon\napp mbind buf 0 16 bind 2\napp touch buf\napp mbind buf 0 32 default none\nsys write /proc/sys/kernel/numa_balancing 1\napp cpu 8\napp work buf 0 32 8000\napp where buf 0 16 -> nodes 2:16\napp where buf 16 16 -> nodes 1:16',
  },
  {
    by: 'Jerome Glisse',
    date: '2017-02-22',
    says: 'with coherent memory everything works as on other memory, atomic accesses too',
    designs: ['stock', ...THREAD, 'hmm-coherent'],
    run: 'app device_policy gpu0 stay\napp mmap buf 16 shared\napp touch buf\napp device_compute gpu0 buf atomic -> 0; remote 16',
  },
  {
    by: 'Jerome Glisse',
    date: '2017-02-23',
    says: 'short pins may be let through where long ones are not',
    designs: ['hmm-coherent'],
    run: 'app mmap buf 16 anon\napp touch buf\napp device_compute gpu0 buf -> moved 16\napp pin buf 0 16 -> 0\napp where buf -> nodes ENOENT:16\napp pin buf 0 16 longterm -> EBUSY',
  },
  {
    by: 'Jerome Glisse',
    date: '2017-02-23',
    says: 'writing back to the disk does not need the LRU',
    designs: ['hmm-files'],
    run: 'sys mkfile f 16\napp mmap in 16 file:f\napp touch in\napp device_compute gpu0 in -> moved 16\napp fsync f -> 0\nsys cached f -> nodes 2:16\napp munmap in\nsys drop_caches\nsys cached f -> nodes ENOENT:16',
  },
  {
    by: 'Jerome Glisse',
    date: '2017-02-23',
    says: 'reclaim ignores pages that are not on the LRU',
    designs: ['hmm', 'hmm-coherent'],
    run: 'sys swapon 100\napp mmap buf 32 anon\napp touch buf\napp device_compute gpu0 buf 0 16 -> moved 16\napp madvise buf 0 32 pageout\napp device_compute gpu0 buf 0 16 -> local 16; moved 0\napp where buf 16 16 -> nodes ENOENT:16',
  },
  {
    by: 'John Hubbard',
    date: '2017-02-24',
    says: 'by its faults HMM notices what goes to and fro',
    designs: ['hmm'],
    run: `app mmap buf 8 anon\napp touch buf\n${TURN.repeat(3)}app device_compute gpu0 buf -> throttled 1`,
  },
  {
    by: 'Mel Gorman',
    date: '2017-02-23',
    says: 'an area whose policy does not ask for it (MPOL_F_MOF) is skipped by NUMA balancing',
    designs: ['stock', ...THREAD],
    run: 'app mmap buf 32 anon\napp mbind buf 0 16 bind 2\napp touch buf\nsys write /proc/sys/kernel/numa_balancing 1\napp cpu 8\napp work buf 0 32 8000\napp where buf 0 16 -> nodes 2:16\napp where buf 16 16 -> nodes 1:16',
  },
  {
    by: 'Anshuman Khandual',
    date: '2017-02-15',
    says: 'when memory comes or goes, the list of devices follows that of nodes with memory',
    designs: THREAD,
    run: 'sys read /sys/devices/system/node/is_cdm_node -> value 2-4\nsys offline_node 3 -> 0\nsys read /sys/devices/system/node/is_cdm_node -> value 2,4\nsys read /sys/devices/system/node/has_memory -> value 0-2,4\nsys online_node 3 MOVABLE -> 0\nsys read /sys/devices/system/node/is_cdm_node -> value 2-4',
  },
  {
    by: 'Anshuman Khandual',
    date: '2017-02-15',
    says: 'an ECC error in the device takes what is there, and nothing else',
    designs: ['stock', ...THREAD],
    run: 'app mmap buf 16 anon\napp mbind buf 0 16 bind 2\napp touch buf\napp madvise buf 3 1 hwpoison\napp touch buf 0 3 -> 0\napp touch buf 3 1 -> SIGBUS\napp touch buf 4 12 -> 0\napp where buf 0 3 -> nodes 2:3',
  },
  {
    by: 'Anshuman Khandual',
    date: '2017-02-23',
    says: 'the driver may move any mapping, as long as the cpuset lets it',
    designs: ['stock', ...THREAD],
    run: 'app mmap buf 16 anon\napp touch buf\nsys mkdir /sys/fs/cgroup/a\nsys write /sys/fs/cgroup/a/cpuset.mems 0-1\nsys move app /sys/fs/cgroup/a\napp device_compute gpu0 buf -> remote 16; moved 0\nsys move app /sys/fs/cgroup\napp device_compute gpu0 buf -> local 16; moved 16',
  },
  {
    by: 'Anshuman Khandual',
    date: '2017-02-23',
    says: 'the driver heeds the policy of the area',
    designs: ['stock', ...THREAD],
    run: 'app mmap buf 16 anon\napp mbind buf 0 16 bind 0,1\napp touch buf\napp device_compute gpu0 buf -> remote 16; moved 0\napp mbind buf 0 16 bind 2\napp device_compute gpu0 buf -> local 16; moved 16',
  },
  {
    by: 'Anshuman Khandual',
    date: '2017-03-08',
    says: 'without a change of mbind the zones of a device are on no list that a bind walks, but its own',
    designs: ['zonelist'],
    run: 'app mmap buf 32 anon\napp mbind buf 0 16 bind 2\napp mbind buf 16 16 bind 0,2\napp touch buf\napp where buf 0 16 -> nodes 2:16\napp where buf 16 16 -> nodes 0:16\nsys fallback -> 0',
  },
  {
    by: 'Balbir Singh',
    date: '2017-03-01',
    says: 'a hard wall around the group of a device does not keep its parent out',
    designs: ['stock', ...THREAD],
    run: 'sys mkdir /cpuset/dev\nsys write /cpuset/dev/cpuset.cpus 0\nsys write /cpuset/dev/cpuset.mems 2\nsys write /cpuset/dev/cpuset.mem_exclusive 1\nsys write /cpuset/dev/cpuset.mem_hardwall 1\napp mmap buf 16 anon\napp mbind buf 0 16 bind 2 -> 0\napp touch buf\napp where buf -> nodes 2:16',
  },
];

describe.each(CLAIMS.map((claim, i) => ({ ...claim, id: `T${i + 1}` })))(
  '[CLM2] $id, $by, $date: $says',
  ({ id, by, date, designs, run }) => {
    test.each(designs)('under %s', (design) => {
      const text = `machine thread\ntask app\napp cpu 0\n${run}\n`;
      const { scenario, machine } = parseWithMachine(text, `${id}.cdm`);
      const session = new Session({ machine, scenario, design: findDesign(design) });
      const wrong = session.finish().flatMap((step) => step.failed.map((f) => [step.op.text, f]));
      expect(wrong).toEqual([]);
      expect(scenario.ops.some((op) => op.expect.length > 0)).toBe(true);
    });

    test('stands in docs/CLAIMS.md', () => {
      const row = DOC.split('\n').find((line) => line.endsWith(`| ${id} |`));
      expect(row).toContain(`| ${by}, ${date} |`);
    });
  },
);
