// The table of a comparison: a row a design. On a terminal that is too narrow for all columns,
// moves in both directions are one column, and what is there at the end goes. What a column counts
// is the same in both forms.
import type { Comparison, DesignOutcome } from '../lab/comparison.ts';
import { nrNotSurvived, nrRefused } from '../lab/story.ts';
import { timeText } from './estimate_text.ts';
import type { Io } from './io.ts';
import { fits, formatTable, paragraph } from './table.ts';

interface Column {
  /** Header where there is room, and where there is not; none: the column is left out there. */
  readonly wide: string | undefined;
  readonly narrow: string | undefined;
  readonly of: (o: DesignOutcome) => string;
}

/** What a narrow table leaves out. */
const NARROWED =
  'A wider terminal shows pages there at the end too, and moves there and away apart.';

/** One table over many designs, as wide as the terminal allows. */
export function outcomeTable(io: Io, { outcomes }: Pick<Comparison, 'outcomes'>): string {
  const { bold, red, green } = io.colors;
  const columns: Column[] = [
    {
      wide: '\ndesign',
      narrow: '\ndesign',
      of: (o) => (o.notModelled === undefined ? o.design : `${o.design} *`),
    },
    { wide: 'on device:\nasked', narrow: 'on device:\nasked', of: (o) => String(o.nrAsked) },
    {
      wide: 'not\nasked',
      narrow: 'not\nasked',
      of: (o) => (o.nrNotAsked > 0 ? red(String(o.nrNotAsked)) : green('0')),
    },
    { wide: 'there at\nthe end', narrow: undefined, of: (o) => String(o.nrOnDeviceAtEnd) },
    { wide: '\nspilled', narrow: '\nspilled', of: (o) => String(o.nrSpilled) },
    { wide: '\nrefused', narrow: 're-\nfused', of: (o) => String(nrRefused(o)) },
    {
      wide: 'not\nsurvived',
      narrow: 'not sur-\nvived',
      of: (o) => (nrNotSurvived(o) > 0 ? red(String(nrNotSurvived(o))) : '0'),
    },
    { wide: 'moved\nthere', narrow: undefined, of: (o) => String(o.nrMovedToDevice) },
    { wide: 'moved\naway', narrow: undefined, of: (o) => String(o.nrMovedFromDevice) },
    {
      wide: undefined,
      narrow: '\nmoved',
      of: (o) => String(o.nrMovedToDevice + o.nrMovedFromDevice),
    },
    {
      wide: 'zones per\nrequest',
      narrow: 'zones a\nrequest',
      of: (o) => (o.nrRequests === 0 ? '-' : (o.nrZonesLookedAt / o.nrRequests).toFixed(2)),
    },
    ...(outcomes.some((o) => o.estimatedTimeNs !== undefined)
      ? [
          {
            wide: 'estimated\ntime',
            narrow: 'time\n(estimate)',
            of: (o: DesignOutcome) => timeText(o.estimatedTimeNs),
          },
        ]
      : []),
  ];
  const draw = (form: 'wide' | 'narrow'): string => {
    const drawn = columns.filter((column) => column[form] !== undefined);
    const header = drawn.map((column) => column[form] ?? '');
    const rows = outcomes.map((o) => drawn.map((column) => column.of(o)));
    const right = header.map((_, i) => i).slice(1);
    return formatTable(header, rows, { right, flex: 0, head: bold });
  };
  const wide = draw('wide');
  const star = outcomes.some((o) => o.notModelled !== undefined)
    ? '\n* did not run to the end: the numbers are of the steps before.'
    : '';
  if (fits(wide)) return wide + star;
  return `${draw('narrow')}${star}\n\n${paragraph(NARROWED)}`;
}
