// Whoever follows pages from frame to frame: told where a page leaves one frame for another, and
// where frames are taken without a request to the page allocator. Nobody listens unless somebody
// asks why a page is where it is; then each of these is one test for null.
// Models   nothing of its own: linux@v6.1 migrates in migrate_pages, migrate_vma_pages,
//          collapse_huge_page, try_to_merge_one_page, split_huge_page_to_list.
// Holds    EXP5 every page that comes to another frame while it is mapped is told of here.
import type { Frame } from '../base/ids.ts';
import type { AddressSpace } from './address_space.ts';
import type { MoveCause } from './migrate.ts';

/** Who takes frames without asking the page allocator for them. */
export type TakenBy = 'driver' | 'demotion' | 'contiguous range';

export interface FrameWatch {
  /** What was in `nrPages` frames from `old` on is in those from `fresh` on, which were taken. */
  moved(cause: MoveCause, old: Frame, fresh: Frame, nrPages: number): void;
  /** KSM: the page at `vpn` shares the frame `kept` now; undefined for the page of zeroes. */
  merged(space: AddressSpace, vpn: number, old: Frame, kept: Frame | undefined): void;
  /** A transparent huge page is 512 small ones in the same frames now. */
  split(head: Frame): void;
  /** The first `n` of `frames` were taken; of a block the first frame. */
  taken(by: TakenBy, frames: ArrayLike<number>, n: number): void;
}
