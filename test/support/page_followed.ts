// Holds what is told of how a page came to its frame against where page tables had it, step by
// step: a judge that knows nothing of moves.
import { expect } from 'vitest';
import type { StoryLink } from '../../src/lab/frame_story.ts';

/** Where a page was after a step: its frame, or -1 where there was none. */
export type Whereabouts = readonly number[];

/** A link as it is told; the step of one that a request gave may be left out. */
export interface ToldLink extends Pick<StoryLink, 'kind' | 'step'> {
  readonly frame: number;
  readonly from?: number | undefined;
}

/**
 * What is wrong with a chain, or undefined: it must end where the page is after the last step, each
 * link must begin where the one before it ends, and be of the very step in which the page came.
 * @param givenIn the step in which the frame of the first link was given, if a request gave it.
 */
export function wrongInChain(
  chain: readonly ToldLink[],
  was: Whereabouts,
  givenIn: number | undefined,
): string | undefined {
  const last = chain.at(-1);
  if (last === undefined) return 'nothing is told';
  for (const [i, link] of chain.entries()) {
    const before = chain[i - 1]?.frame;
    if (link.from !== undefined && before !== undefined && link.from !== before) {
      return `link ${i} begins at ${link.from}, not at ${before}`;
    }
  }
  // What came before a pool gave the page was the pool's; a page that is split stays where it is.
  const own = chain.slice(
    Math.max(
      0,
      chain.findLastIndex(({ kind }) => kind === 'pool'),
    ),
  );
  const moves = own.filter((link) => link.from !== link.frame);
  let at = moves.length - 1;
  for (let step = was.length - 1; step >= 0 && was[step] !== -1; step--) {
    while (at >= 0 && moves[at]?.frame !== was[step]) {
      const of = moves[at] === chain[0] ? givenIn : moves[at]?.step;
      if (of !== undefined && of !== step + 1) {
        return `link ${at} is of step ${of}, and the page was elsewhere until ${step + 1}`;
      }
      at--;
    }
    if (at < 0) return step === was.length - 1 ? 'it ends elsewhere' : undefined;
  }
  return undefined;
}

export function expectChain(
  chain: readonly ToldLink[],
  was: Whereabouts,
  givenIn: number | undefined,
  what: string,
): void {
  expect(wrongInChain(chain, was, givenIn), `${what}: ${JSON.stringify(chain)}`).toBeUndefined();
}
