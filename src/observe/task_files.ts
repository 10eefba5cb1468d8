// Files of one task, by the name that the scenario gives it.
import type { Task } from '../kernel/task.ts';
import type { FileKind, View } from './view.ts';

/** A kind of which every live task has one: /proc/NAME/FILE. */
export const fileOfTask = (file: string, read: (view: View, task: Task) => string): FileKind => ({
  pattern: new RegExp(`^/proc/([A-Za-z]\\w*)/${file}$`),
  read: (view, name) => {
    const task = view.tasks.get(name as string);
    return task?.isAlive === true ? read(view, task) : undefined;
  },
  paths: ({ tasks }) =>
    [...tasks].filter(([, task]) => task.isAlive).map(([name]) => `/proc/${name}/${file}`),
});
