// The machine as boxes: every node with CPUs, and beside it the nodes without that are nearest
// to it; then the distances as a table shaded by distance. Nodes that have neither memory nor
// CPUs are folded into one dashed box a group, so that 34 nodes of which 28 are empty stay
// legible.
// Holds    MPC1 every node is in exactly one group. Boxes are HTML lists: they wrap, and read in
//          order.
import type { Comparison, MachineSummary } from '../lab/comparison.ts';
import { isEmptyNode, type NodeColours, type SummaryNode } from './colours.ts';
import { type Html, html, joined } from './html.ts';
import { counted, numberList, roughSize } from './words.ts';

/** Nodes drawn together. */
export interface NodeGroup {
  /** The nodes with CPUs that all others of the group are nearest to; several when they tie. */
  readonly homes: readonly SummaryNode[];
  readonly others: readonly SummaryNode[];
}

/** A larger matrix is folded away. */
const MAX_OPEN_MATRIX = 16;
const LOCAL_DISTANCE = 10;

/** Looks distances up by node id. */
export function distanceBetween(machine: MachineSummary): (from: number, to: number) => number {
  const at = new Map(machine.nodes.map((node, i) => [node.id, i]));
  return (from, to) =>
    machine.distances[at.get(from) as number]?.[at.get(to) as number] ?? LOCAL_DISTANCE;
}

/** Groups the nodes by the CPU node, or nodes, that each is nearest to. */
export function groupNodes(machine: MachineSummary): NodeGroup[] {
  const distance = distanceBetween(machine);
  const homes = machine.nodes.filter((node) => node.cpus.length > 0);
  if (homes.length === 0) return [{ homes: [], others: machine.nodes }];
  const groups = new Map<string, { homes: SummaryNode[]; others: SummaryNode[] }>();
  for (const home of homes) groups.set(String(home.id), { homes: [home], others: [] });
  for (const node of machine.nodes) {
    if (node.cpus.length > 0) continue;
    const least = Math.min(...homes.map((home) => distance(home.id, node.id)));
    const nearest = homes.filter((home) => distance(home.id, node.id) === least);
    const key = nearest.map((home) => home.id).join(' ');
    const group = groups.get(key) ?? { homes: nearest, others: [] };
    group.others.push(node);
    groups.set(key, group);
  }
  return [...groups.values()];
}

const ZONE_WORDS: Readonly<Record<string, string>> = {
  boot: 'present at boot',
  movable: 'hot-plugged, ZONE_MOVABLE',
};

/** The lines of a node's box that say what it is. */
function nodeFacts(node: SummaryNode): Html[] {
  const cpus =
    node.cpus.length === 0
      ? 'no CPUs'
      : `${counted(node.cpus.length, 'CPU')}: ${numberList(node.cpus)}`;
  const zone = node.sizeBytes > 0 && (ZONE_WORDS[node.memoryZone] ?? node.memoryZone);
  return [html`<span>${cpus}</span>`, html`<span>${zone}</span>`];
}

function nodeBox(node: SummaryNode, home: number | undefined, drawing: Drawing): Html {
  const { colours, largestBytes, distance } = drawing;
  const percent = largestBytes === 0 ? '0' : ((100 * node.sizeBytes) / largestBytes).toFixed(2);
  const far =
    home !== undefined &&
    html`<span class="far">distance ${distance(home, node.id)} from node ${home}</span>`;
  const size = node.sizeBytes === 0 ? 'no memory' : roughSize(node.sizeBytes);
  const device = node.device !== undefined && html`<span class="owner">${node.device}</span>`;
  return html`<li class="box${node.device === undefined ? '' : ' of-device'}">
<h4>node ${node.id}${device}</h4>
<div class="size"><i class="${colours.classOf(node.id)}" style="width:${percent}%"></i></div>
<p><b>${size}</b>${nodeFacts(node)}${far}</p></li>`;
}

interface Drawing {
  readonly colours: NodeColours;
  readonly largestBytes: number;
  readonly distance: (from: number, to: number) => number;
}

/** Empty nodes of a group in one box, with the devices that they belong to. */
function emptyBox(nodes: readonly SummaryNode[]): Html | undefined {
  if (nodes.length === 0) return undefined;
  const byDevice = new Map<string, number[]>();
  for (const node of nodes) {
    const owner = node.device ?? '';
    byDevice.set(owner, [...(byDevice.get(owner) ?? []), node.id]);
  }
  const lines = [...byDevice].map(
    ([owner, ids]) =>
      html`<span>${numberList(ids)}${owner !== '' && html` <span class="owner">${owner}</span>`}</span>`,
  );
  return html`<li class="box vacant"><h4>${counted(nodes.length, 'empty node')}</h4><p>${lines}</p></li>`;
}

function groupBox(group: NodeGroup, drawing: Drawing): Html {
  const { homes, others } = group;
  const names = joined(
    homes.map((home) => String(home.id)),
    ' and ',
  );
  const title = homes.length > 1 ? html`as near to node ${names}` : html`near node ${names}`;
  const home = homes.length === 1 ? (homes[0] as SummaryNode) : undefined;
  const full = others.filter((node) => !isEmptyNode(node));
  const homeId = homes[0]?.id;
  const boxes = [
    home !== undefined && nodeBox(home, undefined, drawing),
    full.map((node) => nodeBox(node, homeId, drawing)),
    emptyBox(others.filter(isEmptyNode)),
  ];
  const label = homes.length === 0 ? html`no node has CPUs` : title;
  const isPlain = home !== undefined && others.length === 0;
  return html`<div class="group" role="group">${!isPlain && html`<h3>${label}</h3>`}<ul>${boxes}</ul></div>`;
}

/** Shades of a distance, from none for local to strong for the farthest. */
function shade(distance: number, farthest: number): string {
  if (farthest <= LOCAL_DISTANCE) return '0';
  return (0.04 + (0.3 * (distance - LOCAL_DISTANCE)) / (farthest - LOCAL_DISTANCE)).toFixed(3);
}

function matrix(nodes: readonly SummaryNode[], drawing: Drawing, caption: string): Html {
  const { distance, colours } = drawing;
  const farthest = Math.max(
    LOCAL_DISTANCE,
    ...nodes.flatMap((from) => nodes.map((to) => distance(from.id, to.id))),
  );
  const head = (node: SummaryNode, scope: string): Html =>
    html`<th scope="${scope}"><span class="${colours.classOf(node.id)}">${node.id}</span></th>`;
  const rows = nodes.map((from) => {
    const cells = nodes.map((to) => {
      const d = distance(from.id, to.id);
      return html`<td style="--shade:${shade(d, farthest)}">${d}</td>`;
    });
    return html`<tr>${head(from, 'row')}${cells}</tr>`;
  });
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table class="matrix"><caption>${caption}</caption><thead><tr><td></td>${nodes.map((node) => head(node, 'col'))}</tr></thead><tbody>${rows}</tbody></table></div>`;
}

function distances(machine: MachineSummary, drawing: Drawing): Html | undefined {
  if (machine.nodes.length < 2) return undefined;
  const full = machine.nodes.filter((node) => !isEmptyNode(node));
  const nrEmpty = machine.nodes.length - full.length;
  const caption = 'Distance from the node of the row to that of the column';
  const main = matrix(full, drawing, nrEmpty > 0 ? `${caption}, empty nodes left out` : caption);
  const folded =
    full.length > MAX_OPEN_MATRIX
      ? html`<details><summary>Distances of ${counted(full.length, 'node')}</summary>${main}</details>`
      : main;
  const whole =
    nrEmpty > 0 &&
    html`<details><summary>Distances of all ${counted(machine.nodes.length, 'node')}</summary>${matrix(machine.nodes, drawing, caption)}</details>`;
  return html`<div class="distances">${folded}${whole}</div>`;
}

/** The section with the boxes and the distances. */
export function machinePicture(comparison: Comparison, colours: NodeColours): Html {
  const { machine } = comparison;
  const drawing: Drawing = {
    colours,
    largestBytes: Math.max(0, ...machine.nodes.map((node) => node.sizeBytes)),
    distance: distanceBetween(machine),
  };
  const repeats =
    colours.isRepeating &&
    html`<p class="limit">There are more nodes than colours that stay apart; colours repeat, numbers do not.</p>`;
  return html`<section id="machine" aria-labelledby="machine-h">
<h2 id="machine-h">The machine</h2>
<p><b>${machine.name}</b>: ${machine.note}</p>
${repeats}
<div class="machine"><div class="groups">${groupNodes(machine).map((g) => groupBox(g, drawing))}</div>
${distances(machine, drawing)}</div>
</section>`;
}
