// One operation line: act, expectations and the check that nothing is left over.
import { UserError } from '../base/assert.ts';
import { didYouMean } from '../base/suggest.ts';
import { regionOf, tasksOf } from './acts.ts';
import { parseExpectations } from './expect.ts';
import { type Draft, finish } from './finish.ts';
import { type SourceLine, scanLine } from './lexer.ts';
import type { Act, Op } from './ops.ts';
import { type PageSizes, readSysAct, readTaskAct } from './parse_act.ts';
import { Reader } from './reader.ts';
import {
  isSysVerb,
  isTaskVerb,
  nameFault,
  STATEMENTS,
  SYS_USAGE,
  slotOf,
  TASK_USAGE,
} from './words.ts';

/** Bytes of a page where nothing says otherwise. */
export const DEFAULT_PAGE_BYTES = 4096;

function readSys(r: Reader, pages: PageSizes): Act {
  r.usage = 'sys VERB ...';
  const verb = r.word('VERB');
  if (!isSysVerb(verb)) {
    const verbs = Object.keys(SYS_USAGE);
    const expected = `expected ${verbs.join(', ')}${didYouMean(verb, verbs)}`;
    r.fail(`"${verb}" is no verb of sys; ${expected}`, r.at - 1);
  }
  r.usage = `sys ${verb} ${SYS_USAGE[verb]}`.trimEnd();
  return { on: 'sys', act: readSysAct(r, verb, pages) };
}

function readFork(r: Reader): Act {
  r.usage = 'fork PARENT CHILD';
  const parent = r.name('PARENT', 'T');
  return { on: 'fork', parent, child: r.name('CHILD', 'T') };
}

/** The line opens with no statement and its second word is no verb: says which one is wrong. */
function failVerb(r: Reader, head: string, verb: string | undefined): never {
  const hint = didYouMean(head, Object.keys(STATEMENTS));
  if (verb === undefined && hint === '') {
    r.fail(`"${head}" stands alone; expected "TASK VERB ..."`, r.at - 1);
  }
  if (verb === undefined || (hint !== '' && slotOf(head) < 0)) {
    const expected = `"TASK VERB ..." or one of ${Object.keys(STATEMENTS).join(', ')}`;
    r.fail(`"${head}" is no statement; expected ${expected}${hint}`, r.at - 1);
  }
  const verbs = Object.keys(TASK_USAGE);
  return r.fail(`"${verb}" is no verb; expected ${verbs.join(', ')}${didYouMean(verb, verbs)}`);
}

function readTask(r: Reader, task: string, pages: PageSizes): Act {
  const fault = nameFault(task, 'T');
  if (fault !== undefined) r.fail(fault, r.at - 1);
  const verb = r.peek();
  if (verb === undefined || !isTaskVerb(verb)) return failVerb(r, task, verb);
  r.at++;
  r.usage = `TASK ${verb} ${TASK_USAGE[verb]}`.trimEnd();
  return { on: 'task', task, act: readTaskAct(r, verb, pages) };
}

/** Reads a whole operation line. */
export function readOperation(file: string, line: SourceLine, pages: PageSizes): Draft {
  const { words } = line;
  const found = words.indexOf('->', 1);
  const arrow = found < 0 ? words.length : found;
  const r = new Reader(file, line, 0, arrow);
  const head = r.word('TASK');
  const act =
    head === 'sys' ? readSys(r, pages) : head === 'fork' ? readFork(r) : readTask(r, head, pages);
  r.finish();
  const expect = found < 0 ? NOTHING : parseExpectations(file, line, arrow + 1, act, pages);
  return { act, expect, place: { file, line: line.number, column: line.columns[0] } };
}

const NOTHING: Draft['expect'] = [];

/** Page sizes before any line has mapped anything. */
const unmapped = (pageBytes: number): PageSizes => ({ base: pageBytes, of: () => pageBytes });

/**
 * Reads one operation line by itself, as runs on real kernels record them: tasks are T<n>, regions
 * R<n>. The region's size is unknown here, so touch and read need OFF and PAGES.
 * @throws UserError
 */
export function parseOpLine(
  text: string,
  options: { readonly file?: string; readonly line?: number; readonly pageBytes?: number } = {},
): Op {
  const file = options.file ?? 'operation';
  const number = options.line ?? 1;
  const line = scanLine(text, number, file);
  if (line === undefined) {
    throw new UserError('the line is empty; expected an operation', {
      file,
      line: number,
      column: 1,
    });
  }
  const draft = readOperation(file, line, unmapped(options.pageBytes ?? DEFAULT_PAGE_BYTES));
  for (const name of [...tasksOf(draft.act), regionOf(draft.act) ?? 'R0']) {
    if (slotOf(name) >= 0) continue;
    const message = `"${name}" has no slot in a line by itself; expected T0..T15 or R0..R31`;
    const i = line.words.findIndex((word) => word === name || word.endsWith(`=${name}`));
    throw new UserError(message, { file, line: number, column: line.columns[i] });
  }
  return finish([draft], 'T0').ops[0] as Op;
}
