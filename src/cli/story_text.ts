// What each design of a comparison bought and cost, in words.

import { alike } from '../lab/alike.ts';
import type { Comparison } from '../lab/comparison.ts';
import { BASELINE, type DesignStory, storiesOf } from '../lab/story.ts';
import { MAX_COLUMNS, paragraph, wrap } from './table.ts';

/** What each design bought and cost against stock; nothing without stock or another design. */
export function storyText({ outcomes }: Comparison): string {
  const stories = storiesOf({ outcomes });
  if (stories.length === 0) return '';
  const groups = alike(stories, ({ bought, cost, stopped = '' }) => ({ bought, cost, stopped }));
  const lines: string[] = [];
  const same: string[] = [];
  for (const { designs, told } of groups) {
    const { bought, cost, stopped } = told;
    if (bought.length + cost.length + stopped.length === 0) {
      same.push(...designs);
      continue;
    }
    lines.push(
      paragraph(designs.join(', '), '  '),
      ...sentences('bought', bought),
      ...sentences('cost', cost),
      ...sentences('', [stopped]),
    );
  }
  const isAlike = lines.length === 0;
  const rest = isAlike ? `Against ${BASELINE}, nothing differs: ` : 'as stock: ';
  const tail = same.length === 0 ? [] : [paragraph(`${rest}${same.join(', ')}`)];
  return [...(isAlike ? [] : [`Against ${BASELINE}:`]), ...lines, ...tail].join('\n');
}

const LABEL = 8;

function sentences(label: string, told: DesignStory['bought']): string[] {
  return wrap(told.join('; '), MAX_COLUMNS - 4 - LABEL)
    .filter((line) => line !== '')
    .map((line, i) => `    ${(i === 0 ? label : '').padEnd(LABEL)}${line}`);
}
