// The fields of a machine file as tables of a page, from the schema that reads the file.
// Holds    MPG1 the tables of docs/MACHINES.md are those of the schema.
import { machineJsonSchema } from '../machine/schema.ts';

/** What is between these lines of the page is written by `npm run docs`. */
const START = '<!-- fields: npm run docs writes what is between these lines -->\n';
const END = '<!-- end of fields -->';

/** As much of JSON Schema as the machine file needs. */
interface Schema {
  readonly description?: string;
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  integer: 'whole number',
  string: 'text',
  array: 'list',
};

function typeWords({ enum: values, anyOf, type = '' }: Schema): string {
  if (values !== undefined) return values.map((value) => `\`${value}\``).join(', ');
  if (anyOf !== undefined) return anyOf.map(typeWords).join(' or ');
  return TYPE_WORDS[type] ?? type;
}

function table(title: string, { properties = {}, required = [] }: Schema): string {
  const rows = Object.entries(properties).map(([name, field]) => {
    const must = required.includes(name) ? 'yes' : '';
    const words = (field.description ?? '').replaceAll('|', '\\|');
    return `| \`${name}\` | ${typeWords(field)} | ${must} | ${words} |`;
  });
  return `${title}\n\n| field | is | needed | meaning |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`;
}

/** The tables: of the file, and of what its lists hold. */
export function fieldTables(): string {
  const file = JSON.parse(machineJsonSchema()) as Schema;
  const itemsOf = (list: string, of: Schema = file): Schema => of.properties?.[list]?.items ?? {};
  const node = itemsOf('nodes');
  const device = itemsOf('devices');
  return [
    table('The file:', file),
    table('An entry of `nodes`:', node),
    table('An entry of `ranges` of a node:', itemsOf('ranges', node)),
    table('An entry of `devices`:', device),
    table('The `cache` of a device:', device.properties?.['cache'] ?? {}),
    table('An entry of `links`:', itemsOf('links')),
  ].join('\n');
}

/** The page with its tables as they are now. */
export function withFieldTables(page: string): string {
  const start = page.indexOf(START) + START.length;
  return `${page.slice(0, start)}\n${fieldTables()}\n${page.slice(page.indexOf(END))}`;
}
