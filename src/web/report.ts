// A comparison as one HTML page that needs nothing else: style, script and pictures are inside,
// and its own policy forbids it to load anything. It opens from a file, prints, and follows the
// reader's choice of light or dark.
// Omits    model logic: every number comes from the Comparison; here they are only drawn and
//          added up.
// Holds    REP1 equal comparisons give equal pages. REP2 all text is escaped (html.ts).
import { createHash } from 'node:crypto';
import type { Comparison } from '../lab/comparison.ts';
import { claimSection } from './claim_section.ts';
import { colourRules, NodeColours } from './colours.ts';
import { comparisonSection } from './comparison_table.ts';
import { designSection } from './design_section.ts';
import { html, trusted } from './html.ts';
import { machinePicture } from './machine_picture.ts';
import { navigation, pageHeader } from './page_header.ts';
import { placementPicture } from './placement_picture.ts';
import { placementRows } from './placement_rows.ts';
import { SCRIPT } from './script.ts';
import { STYLE } from './style.ts';
import { zonelistPicture } from './zonelist_picture.ts';

/** What the page may do: its own style, its own script, nothing from elsewhere. */
function contentPolicy(): string {
  const hash = createHash('sha256').update(SCRIPT).digest('base64');
  return [
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    `script-src 'sha256-${hash}'`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

/**
 * Draws a comparison.
 * @returns the page: UTF-8, one file, no references to others.
 */
export function renderReport(comparison: Comparison): string {
  const colours = new NodeColours(comparison.machine);
  const rows = placementRows(comparison.outcomes);
  const { scenario, machine } = comparison;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${trusted(contentPolicy())}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${scenario.name} on ${machine.name} - CDM Lab</title>
<link rel="icon" href="data:,">
<style>${trusted(`${STYLE}\n${colourRules()}`)}</style>
</head>
<body>
${pageHeader(comparison)}
${navigation(colours)}
<main>
${comparison.claim !== undefined && html`<section aria-label="Claim">${claimSection(comparison.claim)}</section>`}${comparisonSection(comparison)}
${machinePicture(comparison, colours)}
${zonelistPicture(comparison, colours)}
${placementPicture(comparison, rows, colours)}
${designSection(comparison, colours)}
</main>
<footer>Made by CDM Lab, a model of Linux memory placement.
Equal scenarios, machines and designs give an equal page.</footer>
<script>${trusted(SCRIPT)}</script>
</body>
</html>
`.text;
}
