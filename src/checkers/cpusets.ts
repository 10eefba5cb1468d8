// Judge: every cpuset is as its rules want it, and its tasks keep to it.
// Holds    CPS2 a task may use the effective mems of its cpuset. CPS9 in version 1 a cpuset lies
//          within its parent, and its effective mems are those written. CPS10 no sibling shares
//          what an exclusive cpuset has. CPS14 a cpuset of version 1 with tasks has CPUs and mems.
//          CPS15 its tasks run on its CPUs.
import type { Kernel } from '../kernel/kernel.ts';
import { Findings } from './findings.ts';

type Group = Kernel['rootCpuset'];

/** Judges the tree of groups and where its tasks are. */
export function checkCpusets(k: Kernel): readonly string[] {
  const findings = new Findings('cpusets');
  for (const task of k.tasks) {
    if (task.end !== undefined) continue;
    const { cpuset, memsAllowed } = task;
    findings.expect(
      memsAllowed.equals(cpuset.effectiveMems),
      () => `${task.name} may use ${memsAllowed}, its cpuset ${cpuset.effectiveMems}`,
    );
    if (k.cpusetVersion !== 1 || cpuset.parent === null) continue;
    findings.expect(
      cpuset.cpus.includes(task.cpu),
      () => `${task.name} runs on CPU ${task.cpu}, its cpuset has ${cpuset.cpus.join()}`,
    );
    findings.expect(
      !cpuset.mems.isEmpty(),
      () => `${task.name} is in ${cpuset.path}, which has no mems`,
    );
  }
  if (k.cpusetVersion === 1) judgeTree(k.rootCpuset, findings);
  return findings.list();
}

function judgeTree(parent: Group, findings: Findings): void {
  const children = [...parent.children.values()];
  for (const [i, group] of children.entries()) {
    judgeNesting(group, findings);
    for (const sibling of children.slice(i + 1)) judgeSiblings(group, sibling, findings);
    judgeTree(group, findings);
  }
}

function judgeNesting(group: Group, findings: Findings): void {
  const above = group.parent as Group;
  findings.expect(
    group.mems.equals(group.effectiveMems),
    () => `${group.path} has mems ${group.mems}, effective ${group.effectiveMems}`,
  );
  findings.expect(
    group.mems.isSubsetOf(above.effectiveMems),
    () => `${group.path} has mems ${group.mems}, its parent ${above.effectiveMems}`,
  );
  findings.expect(
    above.parent === null || group.cpus.every((cpu) => above.cpus.includes(cpu)),
    () => `${group.path} has CPUs ${group.cpus.join()}, its parent ${above.cpus.join()}`,
  );
  for (const flag of ['mem_exclusive', 'cpu_exclusive'] as const) {
    findings.expect(
      !group.flags.has(flag) || above.flags.has(flag),
      () => `${group.path} is ${flag}, its parent is not`,
    );
  }
}

function judgeSiblings(a: Group, b: Group, findings: Findings): void {
  const names = `${a.path} and ${b.path}`;
  findings.expect(
    !(a.flags.has('mem_exclusive') || b.flags.has('mem_exclusive')) || !a.mems.intersects(b.mems),
    () => `${names} share mems, and one of them is mem_exclusive`,
  );
  findings.expect(
    !(a.flags.has('cpu_exclusive') || b.flags.has('cpu_exclusive')) ||
      !a.cpus.some((cpu) => b.cpus.includes(cpu)),
    () => `${names} share CPUs, and one of them is cpu_exclusive`,
  );
}
