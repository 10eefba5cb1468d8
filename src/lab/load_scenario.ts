// Finds a scenario by name or file, with the machine that it runs on: sizes in a scenario become
// pages of that machine, so the two are read together.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../base/assert.ts';
import { loadMachine } from '../machine/load.ts';
import type { Machine } from '../machine/machine.ts';
import { nearMisses } from '../machine/near_misses.ts';
import { machineNodes } from '../scenario/generate.ts';
import type { Scenario } from '../scenario/ops.ts';
import { parseScenario } from '../scenario/parser.ts';
import { type Claim, claimOf } from './claim.ts';

/** Where the scenarios are that come with the package. */
const FOLDER = fileURLToPath(new URL('../../scenarios', import.meta.url));
const EXTENSION = '.cdm';
/** Larger files are no scenario. */
const MAX_FILE_BYTES = 64 * 1024 ** 2;

/** Names of the scenarios that come with the package, in the order of the alphabet. */
export function shippedScenarios(): string[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith(EXTENSION))
    .map((file) => basename(file, EXTENSION))
    .sort();
}

/** Folders of scenarios besides those that are named without one. */
const SUBFOLDERS = ['claims', 'findings'];

/**
 * Names of all scenarios with an outcome that come with the package: `hybrid-flow`,
 * `claims/policy-is-enough`.
 */
export function scenarioNames(): string[] {
  const inside = SUBFOLDERS.flatMap((folder) =>
    readdirSync(join(FOLDER, folder))
      .filter((file) => file.endsWith(EXTENSION))
      .map((file) => `${folder}/${basename(file, EXTENSION)}`)
      .sort(),
  );
  return [...shippedScenarios(), ...inside];
}

export interface LoadScenarioOptions {
  /** Name or file of a machine; the scenario's own when left out. */
  readonly machine?: string | undefined;
  /** Values that replace those of `param` lines. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
}

/** Expectations that were taken off, since nodes have other numbers on another machine. */
export interface Unjudged {
  readonly nr: number;
  readonly writtenFor: string;
  readonly runOn: string;
}

export interface LoadedScenario {
  readonly scenario: Scenario;
  readonly machine: Machine;
  /** Set when the scenario names a machine, has expectations, and runs on another machine. */
  readonly unjudged?: Unjudged | undefined;
  /** Of a claim that the scenario is about, on the machine that it was written for. */
  readonly claim?: Claim | undefined;
}

/**
 * Reads a scenario by the name of a shipped one or by file. What it expects holds on the machine it
 * names; on another one its expectations are taken off.
 * @throws UserError when there is none, when no machine is named, and for mistakes in either.
 */
export function loadScenario(
  nameOrFile: string,
  options: LoadScenarioOptions = {},
): LoadedScenario {
  const { text, file } = readScenarioText(nameOrFile);
  return parseWithMachine(text, file, options);
}

/** The same for a text; `file` stands in messages. */
export function parseWithMachine(
  text: string,
  file: string,
  options: LoadScenarioOptions = {},
): LoadedScenario {
  const line = MACHINE_LINE.exec(text);
  const named = options.machine ?? line?.groups?.['name'];
  if (named === undefined) throw withoutMachine(text, file, options);
  const machine =
    options.machine === undefined && line !== null
      ? machineOfLine(line, text, file)
      : loadMachine(named);
  const scenario = parseScenario(text, {
    file,
    pageBytes: machine.pageBytes,
    nodes: machineNodes(machine),
    devices: machine.devices.map(({ name }) => name),
    parameters: options.parameters,
  });
  const writtenFor = scenario.machine;
  const nr = scenario.ops.reduce((n, op) => n + op.expect.length, 0);
  const claim = claimOf(text, file);
  const asIs = { scenario, machine, ...(claim === undefined ? {} : { claim }) };
  if (writtenFor === undefined || nr === 0) return asIs;
  if (named === writtenFor || machine.name === writtenFor) return asIs;
  const ops = scenario.ops.map((op) => ({ ...op, expect: [] }));
  const unjudged = { nr, writtenFor, runOn: machine.name };
  return { scenario: { ...scenario, ops }, machine, unjudged };
}

/**
 * What is wrong with a text that names no machine. A misspelt line, or a text that is no scenario,
 * is told as what it is: so it is read as if it had named one, and that mistake comes first.
 */
function withoutMachine(text: string, file: string, options: LoadScenarioOptions): UserError {
  try {
    parseScenario(text, { file, parameters: options.parameters, nodes: ANY_NODES });
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
  return new UserError(
    'the scenario names no machine; add a line "machine NAME" above its operations, or give ' +
      '--machine NAME (cdmlab machine list has names)',
    { file, line: firstLineOf(text) },
  );
}

/** The first line that says something, from 1: a machine would stand above it. */
function firstLineOf(text: string): number {
  const at = text.split('\n').findIndex((line) => /^\uFEFF?\s*[^#\s\uFEFF]/.test(line));
  return Math.max(0, at) + 1;
}

/** Nodes for a text whose machine nobody knows. */
const ANY_NODES = { nodes: [0], memoryNodes: [0], deviceNodes: [], cpusByNode: { 0: [0] } };

/** The line of a scenario that names its machine. */
const MACHINE_LINE = /^(?<before>\uFEFF?[ \t]*machine[ \t]+)(?<name>[^\s#]+)/m;

/** The machine that a scenario names; what is wrong with the name is told with its place. */
function machineOfLine(found: RegExpExecArray, text: string, file: string): Machine {
  const { before = '', name = '' } = found.groups ?? {};
  try {
    return loadMachine(besideScenario(name, file));
  } catch (error) {
    if (!(error instanceof UserError) || error.place !== undefined) throw error;
    const line = text.slice(0, found.index).split('\n').length;
    const column = before.replace('\uFEFF', '').length + 1;
    throw new UserError(error.message, { file, line, column });
  }
}

/** A machine file that lies beside the scenario which names it; else the name as it is. */
function besideScenario(machine: string, file: string): string {
  const beside = join(dirname(file), machine);
  return machine.endsWith('.json') && existsSync(beside) ? beside : machine;
}

function readScenarioText(nameOrFile: string): { text: string; file: string } {
  const names = shippedScenarios();
  const isInside = !existsSync(nameOrFile) && SUBFOLDERS.includes(dirname(nameOrFile));
  if (names.includes(nameOrFile) || (isInside && scenarioNames().includes(nameOrFile))) {
    const path = `${FOLDER}/${nameOrFile}${EXTENSION}`;
    const near = relative(process.cwd(), path);
    return { text: readFileSync(path, 'utf8'), file: near.startsWith('..') ? path : near };
  }
  if (!existsSync(nameOrFile)) {
    if (nameOrFile.endsWith(EXTENSION)) {
      const shipped = basename(nameOrFile, EXTENSION);
      const hint = names.includes(shipped)
        ? `; "${shipped}" comes along, without ${EXTENSION}`
        : '';
      throw new UserError(`there is no such file${hint}`, { file: nameOrFile });
    }
    const near = nearMisses(nameOrFile, names);
    const hint = near.length > 0 ? `did you mean ${near.join(' or ')}? ` : '';
    const known = names.join(', ');
    throw new UserError(
      `no scenario \`${nameOrFile}\`: ${hint}There are ${known}; or name a ${EXTENSION} file`,
    );
  }
  const stat = statSync(nameOrFile);
  if (stat.isDirectory()) throw new UserError('a directory, not a scenario', { file: nameOrFile });
  if (stat.size > MAX_FILE_BYTES) {
    throw new UserError('more than 64 MiB: not a scenario', { file: nameOrFile });
  }
  try {
    const text = readFileSync(nameOrFile, 'utf8');
    if (text.includes('\0')) throw new UserError('no text, so no scenario', { file: nameOrFile });
    if (/^\uFEFF?\s*[{[]/.test(text)) {
      const why = 'this is JSON, no scenario; a machine file is named by --machine';
      throw new UserError(why, { file: nameOrFile });
    }
    return { text, file: nameOrFile };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`cannot be read: ${(error as Error).message}`, { file: nameOrFile });
  }
}
