// Figures that a person gives for an estimate: one by one, or a file of them.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { UserError } from '../../base/assert.ts';
import { type Figure, readFigure } from './figures.ts';

/** A file of figures is small. */
const MAX_FILE_BYTES = 1024 ** 2;

/**
 * Reads what `--cost` gives: `NAME=VALUE`, or the name of a JSON file of `{ "NAME": "VALUE" }` or
 * `{ "NAME": { "value": "VALUE", "source": "..." } }`.
 * @throws UserError when it is neither.
 */
export function readCosts(given: readonly string[]): Figure[] {
  return given.flatMap((text) => {
    const equals = text.indexOf('=');
    if (equals > 0 && !existsSync(text)) {
      const [name, value] = [text.slice(0, equals), text.slice(equals + 1)];
      return [readFigure(name.trim(), value, 'given by hand')];
    }
    return readCostFile(text);
  });
}

function readCostFile(file: string): Figure[] {
  if (!existsSync(file)) {
    throw new UserError('there is no such file; costs are NAME=VALUE or a JSON file', { file });
  }
  if (!statSync(file).isFile()) {
    throw new UserError('no file; costs are NAME=VALUE or a JSON file', { file });
  }
  if (statSync(file).size > MAX_FILE_BYTES) throw new UserError('too large for costs', { file });
  let read: unknown;
  try {
    read = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError(`no JSON: ${(error as Error).message}`, { file });
  }
  if (typeof read !== 'object' || read === null || Array.isArray(read)) {
    throw new UserError('expected an object of costs by name', { file });
  }
  return Object.entries(read).map(([name, entry]) => {
    const { value, source } = entryOf(entry, file);
    try {
      return readFigure(name, value, source);
    } catch (error) {
      if (error instanceof UserError) throw new UserError(error.message, { file });
      throw error;
    }
  });
}

function entryOf(entry: unknown, file: string): { value: string; source: string } {
  if (typeof entry === 'string' || typeof entry === 'number') {
    return { value: String(entry), source: `given in ${file}` };
  }
  const { value, source, ...others } = (entry ?? {}) as { value?: unknown; source?: unknown };
  const [odd] = Object.keys(others);
  if (odd !== undefined) throw new UserError(`"${odd}" is neither value nor source`, { file });
  if (typeof value !== 'string' && typeof value !== 'number') {
    throw new UserError('expected a value, or an object of value and source', { file });
  }
  const named = typeof source === 'string' && source.trim() !== '' ? source : `given in ${file}`;
  return { value: String(value), source: named };
}
