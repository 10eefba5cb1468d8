// The zonelists under every design: for each node the zones that a request walks, as chips in the
// colours of their nodes. Designs that give a node equal lists share a row; against the first
// design, what is missing is drawn as an empty chip and what is new or moved is underlined.
// Holds    ZLP1 every node has a row for every design, shared or not.
import type { Comparison, DesignOutcome, NodeZonelists, ZoneLabel } from '../lab/comparison.ts';
import { isEmptyNode, type NodeColours } from './colours.ts';
import { type Html, html } from './html.ts';
import { counted, inWords, numberList } from './words.ts';

/** A place in a list, against the same list of the first design. */
export interface ListedZone {
  readonly zone: ZoneLabel;
  readonly change: 'same' | 'missing' | 'new' | 'moved';
}

const keyOf = (zone: ZoneLabel): string => `${zone.nid} ${zone.zone}`;

/** A list with what it lacks of `base`, in the place where `base` has it. */
export function compareLists(base: readonly ZoneLabel[], list: readonly ZoneLabel[]): ListedZone[] {
  const has = new Set(list.map(keyOf));
  const wasThere = new Set(base.map(keyOf));
  const kept = base.filter((zone) => has.has(keyOf(zone))).map(keyOf);
  const result: ListedZone[] = [];
  let at = 0;
  const addMissing = (): void => {
    while (at < base.length && !has.has(keyOf(base[at] as ZoneLabel))) {
      result.push({ zone: base[at] as ZoneLabel, change: 'missing' });
      at++;
    }
  };
  let nrKept = 0;
  for (const zone of list) {
    if (!wasThere.has(keyOf(zone))) {
      result.push({ zone, change: 'new' });
      continue;
    }
    addMissing();
    result.push({ zone, change: kept[nrKept] === keyOf(zone) ? 'same' : 'moved' });
    nrKept++;
    at++;
  }
  addMissing();
  return result;
}

/** Designs that give a node the same lists. */
interface SharedLists {
  readonly designs: string[];
  readonly lists: NodeZonelists;
}

function shareLists(outcomes: readonly DesignOutcome[], nid: number): SharedLists[] {
  const shared = new Map<string, SharedLists>();
  for (const { design, zonelists } of outcomes) {
    const lists = zonelists.find((row) => row.nid === nid);
    if (lists === undefined) continue;
    const key = [lists.fallback, lists.noFallback].map((l) => l.map(keyOf).join()).join('|');
    const group = shared.get(key) ?? { designs: [], lists };
    group.designs.push(design);
    shared.set(key, group);
  }
  return [...shared.values()];
}

const CHANGE_WORDS = {
  same: '',
  missing: 'not in this list',
  new: 'not in the list of the first design',
  moved: 'elsewhere in the list of the first design',
} as const;

function chip({ zone, change }: ListedZone, colours: NodeColours): Html {
  const words = CHANGE_WORDS[change];
  const title = words !== '' && html` title="node ${zone.nid}, zone ${zone.zone}: ${words}"`;
  const note = words !== '' && html`<span class="unseen"> (${words})</span>`;
  return html`<li class="chip ${change} ${colours.classOf(zone.nid)}"${title}><b>${zone.nid}</b> ${zone.zone}${note}</li>`;
}

function strip(base: readonly ZoneLabel[], list: readonly ZoneLabel[], colours: NodeColours): Html {
  const zones = compareLists(base, list);
  if (zones.length === 0) return html`<span class="nothing">empty</span>`;
  return html`<ol class="strip">${zones.map((zone) => chip(zone, colours))}</ol>`;
}

function nodeRows(outcomes: readonly DesignOutcome[], nid: number, colours: NodeColours): Html[] {
  const shared = shareLists(outcomes, nid);
  const base = shared[0]?.lists;
  if (base === undefined) return [];
  return shared.map(({ designs, lists }, i) => {
    const isAll = designs.length === outcomes.length && outcomes.length > 1;
    const device = colours.deviceOf(nid);
    const owner = device !== undefined && html` <span class="owner">${device}</span>`;
    const node =
      i === 0 && html`<th scope="rowgroup" rowspan="${shared.length}">node ${nid}${owner}</th>`;
    return html`<tr class="${i === 0 ? 'first' : 'other'}">${node}<th scope="row">${isAll ? 'all designs' : inWords(designs)}</th><td>${strip(base.fallback, lists.fallback, colours)}</td><td>${strip(base.noFallback, lists.noFallback, colours)}</td></tr>
`;
  });
}

function table(
  nids: readonly number[],
  outcomes: readonly DesignOutcome[],
  colours: NodeColours,
): Html {
  const bodies = nids.map(
    (nid) => html`<tbody>${nodeRows(outcomes, nid, colours)}</tbody>
`,
  );
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Zonelists"><table class="zonelists">
<thead><tr><th scope="col">List of</th><th scope="col">Design</th><th scope="col">FALLBACK</th><th scope="col">NOFALLBACK</th></tr></thead>
${bodies}</table></div>`;
}

/** Which nodes each design marks as coherent device memory. */
function deviceStates(outcomes: readonly DesignOutcome[]): Html {
  const byNodes = new Map<string, string[]>();
  for (const { design, zonelists } of outcomes) {
    const nids = zonelists.filter((row) => row.isCoherentDevice).map((row) => row.nid);
    const key = nids.length === 0 ? 'none' : numberList(nids);
    byNodes.set(key, [...(byNodes.get(key) ?? []), design]);
  }
  const parts = [...byNodes].map(([nids, designs]) => `${inWords(designs)}: ${nids}`);
  return html`Nodes in the state N_COHERENT_DEVICE: ${parts.join('; ')}.`;
}

/** The section with the lists of all nodes. */
export function zonelistPicture(comparison: Comparison, colours: NodeColours): Html {
  const { outcomes, machine } = comparison;
  const ids = [...new Set(outcomes.flatMap((o) => o.zonelists.map((row) => row.nid)))];
  ids.sort((a, b) => a - b);
  const vacant = new Set(machine.nodes.filter(isEmptyNode).map((node) => node.id));
  const empty = ids.filter((nid) => vacant.has(nid));
  const folded =
    empty.length > 0 &&
    html`<details><summary>Lists of the ${counted(empty.length, 'empty node')} ${numberList(empty)}</summary>${table(empty, outcomes, colours)}</details>`;
  const isAlike = ids.every((nid) => shareLists(outcomes, nid).length === 1);
  const first = outcomes[0]?.design;
  const alike = isAlike
    ? html` All designs give the same lists.`
    : html` Designs that agree share a row. Against <b>${first}</b>, <span class="chip missing">2 Movable</span> is missing and <span class="chip moved">2 Movable</span> is new or in another place.`;
  const against = outcomes.length > 1 && alike;
  return html`<section id="zonelists" aria-labelledby="zonelists-h">
<h2 id="zonelists-h">Zonelists</h2>
<p>The zones that a request walks, from left to right, when it starts from a node: FALLBACK for most, NOFALLBACK for <code>__GFP_THISNODE</code>. As they are when the run ends.${against} ${deviceStates(outcomes)}</p>
${table(
  ids.filter((nid) => !vacant.has(nid)),
  outcomes,
  colours,
)}
${folded}
</section>`;
}
