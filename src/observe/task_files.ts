// Files of one task, by the name that the scenario gives it.
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import type { FileKind } from './view.ts';

/** A kind of which every live task has one: /proc/NAME/FILE. */
export const fileOfTask = (file: string, read: (k: Kernel, task: Task) => string): FileKind => ({
  pattern: new RegExp(`^/proc/([A-Za-z]\\w*)/${file}$`),
  read: ({ k, tasks }, name) => {
    const task = tasks.get(name as string);
    return task?.isAlive === true ? read(k, task) : undefined;
  },
  paths: ({ tasks }) =>
    [...tasks].filter(([, task]) => task.isAlive).map(([name]) => `/proc/${name}/${file}`),
});
