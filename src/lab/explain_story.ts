// How a page came to its frame, in words: the request that gave the first frame, and everything
// that brought the page from there to where it is.
// Holds    EXP5 the links follow each other from frame to frame and end where the page is.
import type { Frame } from '../base/ids.ts';
import type { TakenBy } from '../kernel/frame_watch.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { MoveCause } from '../kernel/migrate.ts';
import type { ExplainedRequest, StepName } from './explain_request.ts';
import type { Give, StoryLink } from './frame_story.ts';

/** One thing that happened to a page, in the step in which it did. */
export interface PageLink extends StepName {
  readonly kind: StoryLink['kind'];
  /** `page fault of task app`, `moved by compaction`. */
  readonly words: string;
  /** Where the page is after it. */
  readonly frame: number;
  readonly nid: number;
  /** Where it was before, if it came from another frame. */
  readonly fromFrame?: number | undefined;
  readonly fromNid?: number | undefined;
}

const MOVE_WORDS: Readonly<Record<MoveCause, string>> = {
  mbind: 'moved by mbind',
  move_pages: 'moved by move_pages',
  migrate_pages: 'moved by migrate_pages',
  cpuset: 'moved after its cpuset',
  'memory offline': 'driven off memory that goes offline',
  'contiguous range': 'driven off to clear a stretch for a gigantic page',
  'long-term pin': 'moved out for a long-term pin',
  'soft offline': 'moved off a frame that had errors',
  device: 'moved by the driver of a device',
  collapse: 'copied into a huge page',
  'device back': 'brought back from the device',
  'device evict': 'evicted from the device',
  'numa balancing': 'moved by NUMA balancing',
  demotion: 'demoted to slower memory',
  compaction: 'moved by compaction',
};

const TAKEN_WORDS: Readonly<Record<TakenBy, string>> = {
  driver: 'handed out by the driver of its device',
  demotion: 'taken for a page that is demoted',
  'contiguous range': 'cleared for the pool of huge pages, as a stretch of a zone',
};

/** What happened, without what a request alone knows. */
export function howWords({ kind, cause, by }: StoryLink): string {
  if (kind === 'moved') return cause === undefined ? 'moved' : MOVE_WORDS[cause];
  if (kind === 'taken') return by === undefined ? 'taken' : TAKEN_WORDS[by];
  if (kind === 'merged') return 'merged by KSM with an equal page';
  if (kind === 'split') return 'its huge page split';
  return kind === 'pool' ? 'given by the pool of huge pages' : 'given';
}

/** Links that are told one by one: the first, and the last ones. */
const MOST_TOLD = 12;

/** The links worth telling of a page that moved again and again. */
export const toldOf = (story: readonly StoryLink[]): readonly StoryLink[] =>
  story.length <= MOST_TOLD ? story : [...story.slice(0, 1), ...story.slice(1 - MOST_TOLD)];

/** Puts the links of a story into words, with the requests that were caught. */
export function pageLinks(
  k: Kernel,
  story: readonly StoryLink[],
  requests: ReadonlyMap<Give | undefined, ExplainedRequest>,
  textOf: (step: number) => string,
): PageLink[] {
  const nidOf = (f: Frame): number => Number(k.allocator.nidOf(f));
  return story.map((link) => {
    const { kind, frame, from, give } = link;
    const request = requests.get(give);
    const step = link.step ?? request?.step ?? 0;
    const isRequest = (kind === 'given' || kind === 'pool') && request !== undefined;
    const asker = isRequest ? `${request.purpose} of task ${request.task}` : undefined;
    const pool = kind === 'pool' ? ', from the pool of huge pages' : '';
    return {
      step,
      text: textOf(step),
      kind,
      words: asker === undefined ? howWords(link) : `${asker}${pool}`,
      frame,
      nid: nidOf(frame),
      ...(from === undefined ? {} : { fromFrame: from, fromNid: nidOf(from) }),
    };
  });
}

/**
 * Sentences on what brought the page where it is, if more than one request did.
 * @param requestAt the link whose request is told beside it.
 */
export function lastMoveWords(links: readonly PageLink[], requestAt: number): string {
  const at = links.findLastIndex(({ kind }) => kind !== 'split');
  const last = links[at];
  if (last === undefined || (last.kind !== 'moved' && last.kind !== 'merged')) return '';
  const step = `In step ${last.step + 1} (${last.text})`;
  if (last.kind === 'merged') {
    const own = last.fromNid === last.nid ? 'on the same node' : `on node ${last.fromNid}`;
    const other = requestAt === at ? ' What follows is how that page had come.' : '';
    return ` ${step} KSM let it share the frame of an equal page; its own was ${own}.${other}`;
  }
  const where =
    last.fromNid === last.nid ? 'from another frame of the node' : `from node ${last.fromNid}`;
  const before = requestAt >= 0 && requestAt < at ? ' Before that it had come as follows.' : '';
  const nobody = requestAt === at ? '' : ', without a request of its own';
  return ` ${step} it was ${last.words}, ${where}${nobody}.${before}`;
}
