// Judge with a memory: pages that a touch has just placed lie where policy and cpuset allow.
// Holds    PLC3 a fresh page of an area under MPOL_BIND is on a node of the policy, unless the
//          cpuset shares no node with it. CPS3 a fresh page of a task is on a node of its cpuset,
//          or on private memory, about which cpusets say nothing.
// Notes    Only pages placed by the last operation are judged: moves go where they are told to,
//          and a policy set later moves nothing by itself.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';
import { areaOf } from './page_tables.ts';
import {
  hugeMappings,
  mappings,
  nodeOfFrame,
  thpMappings,
  usedHugeFrames,
  userFrames,
} from './read_state.ts';

const BIND = 2;

type Task = Kernel['tasks'][number];

export class FreshPages {
  #known = new Set<number>();
  #nrMoved = 0;

  /** Takes note of what is there: call after operations that place pages by other rules. */
  note(k: Kernel): void {
    this.#known = new Set([...userFrames(k), ...usedHugeFrames(k)]);
    this.#nrMoved = movedPages(k);
  }

  /** Judges what `task` has just touched, and takes note. */
  check(k: Kernel, task: Task): readonly string[] {
    const findings = new Findings('fresh pages');
    const isMoved = movedPages(k) !== this.#nrMoved;
    if (!isMoved && task.end === undefined) {
      for (const { space, vpn, frame } of this.#all(k)) {
        if (space !== task.mm.id || this.#known.has(frame)) continue;
        this.#judge(k, task, vpn, frame, findings);
      }
    }
    this.note(k);
    return findings.list();
  }

  /** What every entry maps, of a huge page the first page of it. */
  #all(k: Kernel): { space: number; vpn: number; frame: number }[] {
    const thps = thpMappings(k).flatMap(({ space, vpn, entry }) =>
      entry.is === 'page' ? [{ space, vpn, frame: entry.frame }] : [],
    );
    return [...mappings(k), ...hugeMappings(k), ...thps];
  }

  #judge(k: Kernel, task: Task, vpn: number, frame: number, findings: Findings): void {
    const nid = nodeOfFrame(k, frame) ?? -1;
    const text = `${task.name}, page ${vpn} is on node ${nid}`;
    const mems = task.cpuset.effectiveMems;
    const isOutside = k.states.privateMemory.has(nid);
    findings.expect(mems.has(nid) || isOutside, () => `${text}, outside cpuset mems ${mems}`);
    const vma = areaOf(task.mm, vpn);
    if (vma === undefined) return;
    const inode = vma.file?.inode;
    const object = vma.object ?? (inode !== undefined && 'policyAt' in inode ? inode : null);
    const own = object === null ? vma.policy : object.policyAt(vma.pgoff + vpn - vma.startVpn);
    const policy = own ?? task.mempolicy;
    if (policy === null || policy.mode !== BIND) return;
    if (!policy.nodes.toArray().some((n) => mems.has(n))) return;
    findings.expect(policy.nodes.has(nid), () => `${text}, though bound to ${policy.nodes}`);
  }
}

const movedPages = (k: Kernel): number => k.moves.rows().reduce((n, row) => n + row.nrPages, 0);
