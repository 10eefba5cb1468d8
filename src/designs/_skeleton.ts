// What the author of the next design copies. It answers every decision point as stock Linux does;
// delete the answers that you do not need and change the others. Then add one line to index.ts.
// docs/DESIGNS.md says when each answer is asked and what a design may see.
import type { Design } from '../hooks/design.ts';
import { MASK_REQUEST } from '../hooks/design.ts';

export const skeleton: Design = {
  id: '_skeleton',
  title: 'A design that answers everything as stock Linux does',
  summary: 'Copy this file, name it after your idea, and change the answers that make it one.',
  sources: [
    { author: 'you', date: '2017-02-15', title: 'the message or document where the idea is from' },
  ],
  promise: {
    text: 'What must never happen under this design, as a property that checkers test.',
    // The nodes on which no page may be that nobody asked for: here none.
    isolated: (view) => view.coherentDevice,
  },
  decisionPoints: [
    {
      kernelFunction: 'mm/page_alloc.c: get_page_from_freelist',
      answer: 'zoneGate',
      change: 'One sentence: what a kernel patch would change in that function.',
    },
  ],
  answers: {
    // When memory of a node comes up: does it count as coherent device memory?
    coherentDevice: () => false,
    // While a FALLBACK list is built: may the candidate follow in the list of the owner?
    fallbackListHolds: () => true,
    // While a list is walked: zones of gated nodes are kept from requests that are not admitted.
    zoneGate: {
      gated: (view) => view.coherentDevice,
      admits: (thisNode, mask) => thisNode || mask === MASK_REQUEST,
      refusal: 'why a request was kept off, for people who ask',
    },
    // Where a policy's walk starts; `nid` is stock's answer.
    policyNode: ({ nid }) => nid,
    // Which nodes HugeTLB pools use when no policy names any.
    hugetlbNodes: (view) => view.memory,
    // Do fresh pages on a node mark their area?
    vmaAllocFolio: () => false,
    // NUMA balancing: which areas are scanned, which pages taken away, where may they go?
    taskNumaWork: () => true,
    changePteRange: () => true,
    numaMigratePrep: () => true,
    // KSM: which areas may ask, which pages are merged?
    ksmMadvise: () => true,
    cmpAndMergePage: () => true,
    // Demotion: where may pages of a node go?
    demotionTarget: () => true,
  },
};
