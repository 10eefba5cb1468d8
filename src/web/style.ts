// The page's style sheet. Paper and ink, one accent (violet) for what nobody asked for, and the
// nodes' own colours; dark with the reader's system, light on paper.
// Holds    STY1 nothing is loaded from anywhere. STY2 nothing but wide tables scrolls sideways.

const VARIABLES = `
:root {
  color-scheme: light dark;
  --paper: #fbfbf9; --card: #ffffff; --ink: #1b2024; --soft: #59626a; --line: #dfdfd9;
  --track: #edede8;
  --unasked: #8a2fb0; --asked: #7d8790; --alarm: #f3e9f8; --shade-rgb: 60 70 82;
  --stripe: rgb(255 255 255 / .38);
  --mono: ui-monospace, 'SF Mono', SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
  --sans: system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'DejaVu Sans', sans-serif;
  --bar: 2.5rem;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #15181b; --card: #1b1f23; --ink: #e3e6e8; --soft: #9ba5ad; --line: #30363b;
    --track: #23282d;
    --unasked: #d08cf0; --asked: #78838c; --alarm: #2b2033; --shade-rgb: 190 205 220;
    --stripe: rgb(0 0 0 / .26);
  }
}`;

const BASE = `
* { box-sizing: border-box; }
html { scroll-padding-top: calc(var(--bar) + .75rem); -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 var(--sans);
  font-variant-numeric: tabular-nums;
}
main, header { max-width: 1240px; margin: 0 auto; padding: 0 1.5rem; }
header { padding-top: 2.25rem; }
h1 {
  font-size: 1.75rem; line-height: 1.25; font-weight: 650; letter-spacing: -.012em;
  margin: .2rem 0 .6rem; text-wrap: balance;
}
h2 { font-size: 1.2rem; font-weight: 650; margin: 0 0 .4rem; letter-spacing: -.005em; }
h3, h4 { font-size: .95rem; font-weight: 650; margin: 0 0 .35rem; }
p { margin: 0 0 .75rem; max-width: 54rem; text-wrap: pretty; }
section { margin: 2.75rem 0; }
a {
  color: inherit; text-decoration: underline; text-decoration-color: var(--soft);
  text-underline-offset: .17em;
}
a:hover { text-decoration-color: currentColor; }
code { font: .88em/1.4 var(--mono); overflow-wrap: anywhere; }
:focus-visible { outline: 2px solid var(--ink); outline-offset: 2px; border-radius: 2px; }
ul, ol { list-style: none; margin: 0; padding: 0; }
table { border-collapse: collapse; }
th { font-weight: 600; text-align: left; }
caption { text-align: left; color: var(--soft); font-size: .85rem; padding-bottom: .35rem; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
details[open] > summary { margin-bottom: .5rem; }
.scroll { overflow-x: auto; max-width: 100%; margin-bottom: .75rem; }
.unseen {
  position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap;
}
.nothing, .zero { color: var(--soft); }
.limit { border-left: 3px solid var(--unasked); padding: .1rem 0 .1rem .7rem; }
.owner { font: .78rem/1 var(--mono); color: var(--soft); margin-left: .4em; font-weight: 400; }
.no { color: var(--soft); font-size: .82rem; }
.ret { font: .76rem/1.2 var(--mono); color: var(--soft); white-space: nowrap; }
.ret.refused {
  color: var(--ink); border: 1px solid currentColor; border-radius: 3px; padding: 0 .3em;
  font-weight: 600;
}
.ret.refused::before { content: '✕ '; font-weight: 400; }
.node {
  background-color: var(--fill, var(--track)); color: var(--on, var(--ink));
  -webkit-print-color-adjust: exact; print-color-adjust: exact;
}
.node.device {
  background-image: repeating-linear-gradient(135deg, transparent 0 5px, var(--stripe) 5px 7px);
}
.c-none { outline: 1px dashed var(--soft); outline-offset: -1px; }`;

const HEADER = `
.kind { color: var(--soft); font-size: .85rem; margin: 0; }
.headline { font-size: 1.1rem; max-width: 62rem; }
.warnings {
  background: var(--alarm); border-left: 3px solid var(--unasked); padding: .5rem .9rem;
  margin: 0 0 1rem; font-size: .92rem;
}
.facts {
  display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .1rem 2.5rem;
  margin: 1.2rem 0; padding: .8rem 0; border-block: 1px solid var(--line); font-size: .9rem;
}
.facts div { display: grid; grid-template-columns: 6.5rem 1fr; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.asked { font-size: .92rem; max-width: 62rem; }
nav {
  position: sticky; top: 0; z-index: 3; height: var(--bar); background: var(--paper);
  border-bottom: 1px solid var(--line); display: flex; align-items: center; gap: 1.5rem;
  padding: 0 max(1.5rem, calc((100% - 1240px) / 2 + 1.5rem)); font-size: .86rem;
}
nav .links { display: flex; gap: 1rem; }
nav a { text-decoration: none; }
nav a:hover { text-decoration: underline; }
.legend {
  display: flex; gap: .9rem; margin-left: auto; overflow-x: auto; white-space: nowrap;
  scrollbar-width: none; min-width: 0;
}
.legend li { display: flex; align-items: center; gap: .35em; font-weight: 600; }
.legend span { color: var(--soft); font-weight: 400; font-size: .8rem; }
.legend i, .mark i {
  width: 1.1em; height: 1.1em; border-radius: 2px; display: inline-block; flex: none;
}
.mark { display: inline-flex; align-items: center; gap: .4em; }`;

const COMPARISON = `
table.comparison { width: 100%; font-size: .92rem; }
.comparison th, .comparison td { padding: .42rem .6rem; border-bottom: 1px solid var(--line); }
.comparison td, .comparison thead th:not(:first-child) { text-align: right; }
.comparison thead th {
  vertical-align: bottom; font-size: .8rem; color: var(--soft); line-height: 1.25;
}
.comparison th:first-child { padding-left: 0; }
.comparison tbody th { white-space: nowrap; }
.comparison td { font-variant-numeric: tabular-nums; }
.comparison .unasked { color: var(--unasked); font-weight: 700; }
.comparison .refusing { font-weight: 700; }
.chart { margin: 1.6rem 0 1rem; }
.chart figcaption { font-size: .88rem; color: var(--soft); margin-bottom: .7rem; }
.chart svg { display: block; width: 100%; max-width: 820px; height: auto; }
.chart text { font: 12.5px var(--sans); fill: var(--ink); font-variant-numeric: tabular-nums; }
.chart .label { text-anchor: end; font-weight: 600; }
.chart .value.zero { fill: var(--soft); }
.chart .axis { stroke: var(--line); }
rect.unasked { fill: var(--unasked); }
rect.asked { fill: var(--asked); }
.key {
  display: inline-block; width: .85em; height: .85em; border-radius: 2px; vertical-align: -.08em;
  margin-left: .3em; -webkit-print-color-adjust: exact; print-color-adjust: exact;
}
.key.unasked { background: var(--unasked); }
.key.asked { background: var(--asked); }
.story { margin-top: .8rem; }
.story dt { font-weight: 600; font-size: .9rem; margin-top: .5rem; }
.story dd { margin: 0 0 0 1.2rem; font-size: .9rem; overflow-wrap: anywhere; }
.story dd b { font-weight: 600; color: var(--soft); }
.estimate { margin: .8rem 0; }
.meanings dl { margin: 0; font-size: .88rem; columns: 2; column-gap: 2.5rem; }
.meanings dl div {
  display: grid; grid-template-columns: 9.5rem 1fr; break-inside: avoid; padding: .12rem 0;
}
.meanings dt { font-weight: 600; }
.meanings dd { margin: 0; color: var(--soft); }`;

const MACHINE = `
.machine { display: flex; flex-wrap: wrap; gap: 1.5rem 2rem; align-items: flex-start; }
.groups { display: flex; flex-wrap: wrap; gap: 1rem; flex: 1 1 34rem; align-items: flex-start; }
.group {
  border: 1px solid var(--line); border-radius: 8px; padding: .7rem .8rem .8rem;
  background: var(--card);
}
.group h3 { font-size: .8rem; color: var(--soft); font-weight: 400; margin-bottom: .45rem; }
.group ul { display: flex; flex-wrap: wrap; gap: .6rem; }
.box {
  width: 10.4rem; border: 1px solid var(--line); border-radius: 6px; padding: .5rem .6rem .55rem;
  background: var(--paper);
}
.box.vacant { border-style: dashed; background: none; color: var(--soft); }
.box h4 { margin: 0 0 .4rem; display: flex; justify-content: space-between; align-items: baseline; }
.box p { margin: .35rem 0 0; font-size: .8rem; line-height: 1.4; }
.box p span { display: block; color: var(--soft); overflow-wrap: anywhere; }
.box p span .owner { display: inline; }
.box b { font-size: .92rem; }
.size { height: .8rem; background: var(--track); border-radius: 2px; overflow: hidden; }
.size i { display: block; height: 100%; min-width: 2px; }
.distances { flex: 0 1 auto; max-width: 100%; }
.matrix { font-size: .82rem; }
.matrix td, .matrix th {
  min-width: 2.3rem; padding: .16rem .3rem; text-align: center; border: 2px solid var(--paper);
}
.matrix tbody td {
  background: rgb(var(--shade-rgb) / var(--shade, 0)); -webkit-print-color-adjust: exact;
  print-color-adjust: exact;
}
.matrix th .node { display: block; border-radius: 2px; padding: 0 .25em; }
.matrix th .node.device { background-size: 6px 100%; padding-left: 8px; }
.distances details { margin-top: .6rem; }
.distances details .matrix { font-size: .68rem; }
.distances details .matrix td, .distances details .matrix th { min-width: 1.7rem;
padding: .05rem .1rem; border-width: 1px; }`;

const ZONELISTS = `
table.zonelists { width: 100%; font-size: .88rem; }
.zonelists thead th { color: var(--soft); font-size: .8rem; padding: .2rem 1rem .3rem 0; }
.zonelists tbody { border-top: 1px solid var(--line); }
.zonelists tbody:last-child { border-bottom: 1px solid var(--line); }
.zonelists td, .zonelists th { padding: .24rem 1rem .24rem 0; vertical-align: top; }
.zonelists tr:first-child > * { padding-top: .5rem; }
.zonelists tr:last-child > *, .zonelists th[scope=rowgroup] { padding-bottom: .5rem; }
.zonelists th[scope=rowgroup] { white-space: nowrap; }
.zonelists th[scope=row] { font-weight: 400; max-width: 17rem; }
.zonelists .other th[scope=row] { font-weight: 600; }
.strip { display: flex; flex-wrap: wrap; gap: 4px; }
.chip { font: .78rem/1.55 var(--mono); border-radius: 3px; padding: 0 .45em; white-space: nowrap; }
.chip.device, .matrix .device {
  background-image: repeating-linear-gradient(135deg, transparent 0 2px, var(--stripe) 2px 4px);
  background-size: 8px 100%; background-repeat: no-repeat; padding-left: 13px;
}
.chip.missing {
  background: none; color: var(--soft); outline: 1px dashed var(--soft); outline-offset: -1px;
  text-decoration: line-through; padding-left: .45em;
}
.chip.new, .chip.moved { box-shadow: 0 3px 0 -1px var(--ink); }`;

const PLACEMENT = `
.controls {
  display: flex; flex-wrap: wrap; gap: .3rem 1.6rem; align-items: center; font-size: .88rem;
  margin: .9rem 0 .6rem;
}
.controls fieldset {
  border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .3rem 1rem;
}
.controls legend { float: left; padding: 0; margin-right: 1rem; color: var(--soft); }
.controls label span { color: var(--soft); }
.controls input { accent-color: var(--ink); margin: 0 .25em 0 0; vertical-align: -.1em; }
.controls label:has(:disabled) { color: var(--soft); }
table.placement { width: 100%; table-layout: fixed; font-size: .86rem; }
.placement thead th {
  position: sticky; top: var(--bar); z-index: 2; background: var(--paper);
  padding: .4rem .5rem .4rem 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere;
}
.placement thead th:first-child { width: 28%; }
.placement.many thead th { font-size: .78rem; }
.placement.many thead th:first-child { width: 22%; }
.placement.many .step > td { padding-right: .5rem; }
.placement.many .ret { font-size: .68rem; white-space: normal; overflow-wrap: anywhere; }
.placement.many .bar i { font-size: 10px; }
.placement .name th { padding: 1.1rem 0 .25rem; border-bottom: 1px solid var(--line); }
.placement .name b { font: 600 .9rem var(--mono); }
.placement .name span {
  color: var(--soft); font-weight: 400; font-size: .82rem; margin-left: .6rem;
}
.placement .step > * {
  padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--track); vertical-align: middle;
}
.placement .step > th { font-weight: 400; position: relative; padding-left: 2.6rem; }
.placement .step > th .no { position: absolute; left: 0; width: 2rem; text-align: right; }
.placement .step code { font-size: .8rem; }
.placement .tag { display: none; font: .74rem var(--mono); color: var(--soft); }
.differ { font-weight: 700; margin-left: .45em; }
.bar { height: 17px; background: var(--track); border-radius: 2px; overflow: hidden; }
.bar > div { display: flex; height: 100%; gap: 1px; }
.bar i {
  flex: 0 1 0; min-width: 2px; overflow: hidden; font: 11px/17px var(--sans); text-align: center;
  white-space: nowrap; text-shadow: none;
}
.bar i.device span { background-color: var(--fill); padding: 0 3px; border-radius: 2px; }
.cell.same .bar .node, .cell.same .bar .node span {
  background-color: color-mix(in srgb, var(--fill) 38%, var(--paper)); color: var(--ink);
}
.cell .ret { display: inline-block; margin-top: 2px; }
.cell .nothing { font-size: .78rem; margin-right: .5em; }
.cell:hover .bar, .cell:focus .bar { box-shadow: 0 0 0 1.5px var(--ink); }
.cell:focus { outline: none; }
.cell:focus-visible { outline: 2px solid var(--ink); outline-offset: -1px; }
.nums { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.nums li, .tip li { background: none; color: var(--ink); font-size: .76rem; line-height: 1.4; }
.nums li.device, .tip li.device { background-image: none; }
.nums li::before, .tip li::before {
  content: ''; display: inline-block; width: .75em; height: .75em; border-radius: 2px;
  margin-right: .4em; background: var(--fill, var(--track)); vertical-align: -.03em;
}
#placement:has(#counts:checked) .cell .nums {
  position: static; width: auto; height: auto; clip-path: none; display: flex; flex-wrap: wrap;
  gap: 0 .8em;
}
#placement:not(:has(#steps-all:checked)) .quiet:not(.differs),
#placement:has(#steps-changing:checked) .quiet {
  display: none;
}
#placement:has(#steps-differing:checked) tbody:not(.differs),
#placement:has(#steps-differing:checked) .step:not(.differs) {
  display: none;
}
.in-order .tag { display: block; }
.tip {
  position: fixed; z-index: 5; background: var(--card); color: var(--ink);
  border: 1px solid var(--soft); border-radius: 5px; padding: .45rem .65rem;
  box-shadow: 0 4px 14px rgb(0 0 0 / .18); pointer-events: none; max-width: 22rem;
}
.tip p { margin: 0; font-size: .78rem; }
.tip .who { font-weight: 650; }
.tip .what { font-family: var(--mono); color: var(--soft); }
.tip .nums { position: static; width: auto; height: auto; clip-path: none; }`;

const DESIGNS = `
.cards {
  display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1rem; align-items: start;
}
article {
  border: 1px solid var(--line); border-radius: 8px; background: var(--card);
  padding: 1rem 1.1rem; min-width: 0; font-size: .9rem;
}
article h3 { font-size: 1.05rem; }
article h3 span { display: block; font-weight: 400; font-size: .9rem; color: var(--soft); }
article p { margin-bottom: .6rem; }
article h4 { margin-top: .9rem; font-size: .85rem; }
.promise { font-style: italic; }
table.small { width: 100%; font-size: .84rem; }
.small th { color: var(--soft); font-weight: 400; }
.small th, .small td { padding: .16rem .6rem .16rem 0; border-bottom: 1px solid var(--line); }
.small .nr, .small th:last-child { text-align: right; padding-right: 0; }
.small .unasked td:first-child, .small .unasked .nr { color: var(--unasked); font-weight: 700; }
.items li { padding: .12rem 0; }
.items .ret { white-space: normal; }
.items .at { color: var(--soft); }
.foot { color: var(--soft); font-size: .82rem; margin: .9rem 0 0; }
footer { max-width: 1240px; margin: 0 auto; padding: 0 1.5rem 3rem; color: var(--soft);
font-size: .82rem; }`;

const NARROW = `
@media (max-width: 1000px) {
  .facts, .cards { grid-template-columns: minmax(0, 1fr); }
  .meanings dl { columns: 1; }
  .comparison th, .comparison td { padding-inline: .4rem; }
  nav { gap: .8rem; padding: 0 1rem; }
  nav .links { gap: .7rem; }
  main, header { padding-inline: 1rem; }
  .legend { gap: .6rem; }
  .legend span { display: none; }
  .frame:has(.many) { overflow-x: auto; position: relative; }
  .placement.many { min-width: calc(13rem + var(--designs) * 5.6rem); }
  .placement.many thead th { position: static; }
  .placement.many thead th:first-child { width: 13rem; }
}`;

const PRINT = `
@media print {
  :root { color-scheme: light; --paper: #ffffff; }
  body { font-size: 10pt; }
  main, header { max-width: none; padding: 0; }
  nav { position: static; height: auto; padding: 0; border: 0; }
  nav .links, .controls, .tip { display: none; }
  .legend { margin: 0; flex-wrap: wrap; }
  .legend span { display: inline; }
  .scroll { overflow: visible; }
  .placement thead th { position: static; }
  tr, article, .box, figure { break-inside: avoid; }
  h2, h3, h4, .name { break-after: avoid; }
}`;

export const STYLE = [
  VARIABLES,
  BASE,
  HEADER,
  COMPARISON,
  MACHINE,
  ZONELISTS,
  PLACEMENT,
  DESIGNS,
  NARROW,
  PRINT,
].join('\n');
