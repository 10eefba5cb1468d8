// What the matrix page adds to the style sheet of the reports: the colours of its words. Each word
// stands in its cell too, so that nobody needs the colour.

export const MATRIX_STYLE = `
:root {
  --kept: #e4f1e4; --leaked: #ecd9f5; --killed: #f9dcd6; --sigbus: #fad8c4; --stuck: #f6d3e0;
  --refused: #fbe8cf; --spilled: #f5f0cd; --unknown: var(--track);
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --kept: #1e3526; --leaked: #43275a; --killed: #55241c; --sigbus: #5a2f14; --stuck: #55213a;
    --refused: #4a3313; --spilled: #423d14;
  }
}
table.outcomes { font-size: .84rem; }
.outcomes th, .outcomes td { border: 1px solid var(--line); padding: .3rem .45rem; }
.outcomes thead th { vertical-align: bottom; font-size: .8rem; }
.outcomes tbody th { font-weight: 400; white-space: nowrap; }
.outcomes td { min-width: 5.2rem; line-height: 1.25; }
.outcomes td a { display: block; text-decoration: none; }
.outcomes td a:hover { text-decoration: underline; }
.outcomes td small { display: block; color: var(--soft); }
.w-kept { background: var(--kept); }
.w-leaked { background: var(--leaked); }
.w-killed { background: var(--killed); }
.w-SIGBUS { background: var(--sigbus); }
.w-stuck { background: var(--stuck); }
.w-refused { background: var(--refused); }
.w-spilled { background: var(--spilled); }
.w-not-modelled { background: var(--unknown); color: var(--soft); }
.outcomes td, .key-words li { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
.key-words { display: flex; flex-wrap: wrap; gap: .5rem; margin: .6rem 0 1rem; font-size: .84rem; }
.key-words li { padding: .15rem .5rem; border: 1px solid var(--line); border-radius: 3px; }
.verdicts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr));
  gap: 1.25rem;
}
.verdicts > article { border-top: 1px solid var(--line); padding-top: .6rem; }
.verdicts li { margin: .2rem 0; font-size: .9rem; overflow-wrap: anywhere; }
section.one { margin: 2rem 0; }
`;
