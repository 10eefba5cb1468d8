// The page in a real browser: what a test of its text cannot see. Skipped where there is no
// Chromium, except in CI, where its absence is a failure.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { THREAD_DESIGNS } from '../designs/index.ts';
import { compareDesigns } from '../lab/compare.ts';
import type { Comparison } from '../lab/comparison.ts';
import { loadScenario, parseWithMachine } from '../lab/load_scenario.ts';
import { renderReport } from './report.ts';
import { count } from './words.ts';

const CHROMIUM = '/usr/bin/chromium';
const ARGS = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
const isSkipped = !existsSync(CHROMIUM) && process.env.CI !== 'true';
if (isSkipped) {
  console.warn(`SKIPPED: src/web/report.browser.test.ts, the report in a browser: no ${CHROMIUM}`);
}

const compared = (name: string): Comparison =>
  compareDesigns({ ...loadScenario(name), designs: THREAD_DESIGNS });

const GB200 = `title One "buffer" <over> four devices & two CPUs
machine gb200
task app
app cpu 0
app mmap buf 64 anon
app mbind buf 0 64 interleave 0,2,10,18,26
app touch buf
app move_pages buf 0 64 2,10
`;

describe.skipIf(isSkipped)('the report in a browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cdmlab-report-'));
  const leak = compared('unaware-app');
  const long = compared('random-mix');
  const pages: Readonly<Record<string, Comparison>> = {
    leak,
    long,
    gb200: compareDesigns({
      ...parseWithMachine(GB200, 'gb200.cdm'),
      designs: THREAD_DESIGNS,
    }),
    pc: compareDesigns({
      ...parseWithMachine('machine pc\nT0 mmap R0 8 anon\nT0 touch R0\n', 'pc.cdm'),
      designs: THREAD_DESIGNS.slice(0, 1),
    }),
  };
  /** As many designs as there may be one day, one of which stopped early. */
  const many: Comparison = {
    ...leak,
    outcomes: Array.from({ length: 10 }, (_, i) => {
      const outcome = leak.outcomes[i % leak.outcomes.length] as Comparison['outcomes'][number];
      const stopped = { steps: outcome.steps.slice(0, 5), refusals: [], notModelled: 'swap' };
      return { ...outcome, design: `memory-design-${i}`, ...(i === 7 && stopped) };
    }),
  };
  let browser: Browser;

  beforeAll(async () => {
    for (const [name, comparison] of Object.entries({ ...pages, many })) {
      writeFileSync(join(folder, `${name}.html`), renderReport(comparison));
    }
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Opens a page; `faults` gathers what it complains of and what it asks for besides itself. */
  async function open(
    name: string,
    options: { width?: number; colorScheme?: 'light' | 'dark'; javaScriptEnabled?: boolean } = {},
  ): Promise<{ page: Page; faults: string[] }> {
    const { width = 1280, ...rest } = options;
    const page = await browser.newPage({ viewport: { width, height: 900 }, ...rest });
    const faults: string[] = [];
    const own = pathToFileURL(join(folder, `${name}.html`)).href;
    page.on('console', (message) => faults.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
    page.on('request', (request) => {
      const url = request.url();
      if (url !== own && url !== 'data:,') faults.push(`request: ${url}`);
    });
    await page.goto(own);
    return { page, faults };
  }

  const numberOf = async (page: Page, script: string): Promise<number> =>
    (await page.evaluate(script)) as number;
  const overflow = (page: Page): Promise<number> =>
    numberOf(page, 'document.documentElement.scrollWidth - document.documentElement.clientWidth');

  test.each(Object.keys(pages))('%s opens without errors, warnings or requests', async (name) => {
    const { page, faults } = await open(name);
    await page.locator('footer').scrollIntoViewIfNeeded();
    expect(faults).toEqual([]);
    await page.close();
  });

  test.each([
    ['leak', 1280],
    ['long', 1280],
    ['gb200', 1280],
    ['pc', 1280],
    ['leak', 800],
    ['long', 800],
    ['gb200', 800],
    ['many', 1280],
    ['many', 800],
  ])('%s at %i px does not scroll sideways, folded parts open or not', async (name, width) => {
    const { page } = await open(name, { width });
    expect(await overflow(page)).toBe(0);
    await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })");
    expect(await overflow(page)).toBe(0);
    const cut = await numberOf(
      page,
      `[...document.querySelectorAll('th, td, p, h1, h2, h3, h4, dd, li.box')]
        .filter((e) => e.offsetParent && !e.closest('.scroll, .frame:has(.many)') && e.scrollWidth > e.clientWidth + 1
          && getComputedStyle(e).display !== 'inline').length`,
    );
    expect(cut).toBe(0);
    await page.close();
  });

  test('the tables show the numbers of the comparison', async () => {
    const { page } = await open('leak');
    const rows = page.locator('table.comparison tbody tr');
    expect(await rows.count()).toBe(leak.outcomes.length);
    for (const [i, o] of leak.outcomes.entries()) {
      const cells = await rows.nth(i).locator('td').allInnerTexts();
      expect(cells.slice(0, 4)).toEqual(
        [o.nrNotAsked, o.nrAsked, o.nrOnDeviceAtEnd, o.nrSpilled].map(count),
      );
      const nrEnds = cells.slice(4, 6).reduce((n, cell) => n + Number(cell), 0);
      expect(nrEnds).toBe(o.refusals.length);
    }
    await page.close();
  });

  test('bars are as long as they have pages', async () => {
    const { page } = await open('leak');
    const widths = (await page.evaluate(
      `[...document.querySelector('tbody.region td.cell').querySelectorAll('.bar, .bar i')]
        .map((e) => e.getBoundingClientRect().width)`,
    )) as number[];
    const [full, ...segments] = widths as [number, ...number[]];
    const after = leak.outcomes[0]?.steps.find((s) => s.regions.length > 0)?.regions[0];
    const pages = Object.values(after?.byNode ?? {});
    const total = pages.reduce((a, b) => a + b, 0);
    expect(segments).toHaveLength(pages.length);
    segments.forEach((width, i) => {
      expect(Math.abs(width / full - (pages[i] as number) / total)).toBeLessThan(0.02);
    });
    await page.close();
  });

  test('the choice of steps shows and hides rows, with and without script', async () => {
    for (const javaScriptEnabled of [true, false]) {
      const { page } = await open('long', { javaScriptEnabled });
      const visible = (): Promise<number> =>
        numberOf(
          page,
          "[...document.querySelectorAll('tr.step')].filter((r) => r.offsetParent).length",
        );
      const total = await page.locator('tr.step').count();
      const quiet = await page.locator('tr.step.quiet').count();
      expect(quiet).toBeGreaterThan(50);
      expect(await visible()).toBe(total - quiet);
      await page.locator('#steps-all').check();
      expect(await visible()).toBe(total);
      await page.locator('#steps-differing').check();
      expect(await visible()).toBe(await page.locator('tr.step.differs').count());
      await page.locator('#steps-changing').check();
      expect(await visible()).toBe(total - quiet);
      await page.close();
    }
  });

  test('counts are shown beside the pointer, at the focus, and as text', async () => {
    const { page } = await open('leak');
    const tip = page.locator('.tip');
    expect(await tip.isVisible()).toBe(false);
    const cells = page.locator('td.cell');
    // A scroll hides the counts, so it has to be over before the pointer comes.
    await cells.first().scrollIntoViewIfNeeded();
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))');
    await cells.first().hover();
    expect(await tip.isVisible()).toBe(true);
    expect(await tip.innerText()).toMatch(
      /^stock, step 4\s+app heap\s+node 0: [\d,]+\s+node 1: [\d,]+/,
    );
    await page.mouse.move(0, 0);
    expect(await tip.isVisible()).toBe(false);

    expect(await page.locator('td.cell[tabindex="0"]').count()).toBe(1);
    await page.locator('td.cell[tabindex="0"]').focus();
    expect(await tip.innerText()).toMatch(/^stock, step 4/);
    await page.keyboard.press('ArrowRight');
    expect(await tip.innerText()).toMatch(/^allocator-gate, step 4/);
    await page.keyboard.press('ArrowDown');
    const refusal = leak.outcomes[1]?.refusals[0];
    const words = await tip.innerText();
    expect(words).toMatch(new RegExp(`^allocator-gate, step ${(refusal?.step ?? 0) + 1}\\s`));
    expect(words).toContain(`returned ${refusal?.ret}`);
    await page.keyboard.press('Escape');
    expect(await tip.isVisible()).toBe(false);

    const nums = cells.first().locator('.nums');
    expect((await nums.boundingBox())?.height).toBeLessThan(2);
    await page.locator('#counts').check();
    expect((await nums.boundingBox())?.height).toBeGreaterThan(10);
    await page.close();
  });

  test('rows can stand in the order of the steps, and go back to their regions', async () => {
    const { page } = await open('long');
    const order = async (): Promise<number[]> =>
      (await page.evaluate(
        "[...document.querySelectorAll('tr.step')].map((row) => Number(row.dataset.step))",
      )) as number[];
    const before = await order();
    await page.locator('#by-step').check();
    expect(await order()).toEqual([...before].sort((a, b) => a - b));
    expect(await page.locator('tr.step:not(.quiet) .tag').first().isVisible()).toBe(true);
    await page.locator('#by-step').uncheck();
    expect(await order()).toEqual(before);
    await page.close();
  });

  test('everything that can be used can be reached with the Tab key', async () => {
    const { page } = await open('leak');
    const reached = new Set<string>();
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      reached.add(
        (await page.evaluate(
          "(document.activeElement.id || document.activeElement.className || document.activeElement.tagName).split(' ')[0]",
        )) as string,
      );
    }
    for (const name of ['A', 'SUMMARY', 'steps-changing', 'counts', 'by-step', 'cell', 'scroll']) {
      expect([...reached], name).toContain(name);
    }
    await page.close();
  });

  test('dark and light follow the reader; paper is always light', async () => {
    const paperOf = async (page: Page): Promise<string> =>
      (await page.evaluate('getComputedStyle(document.body).backgroundColor')) as string;
    const light = await open('leak', { colorScheme: 'light' });
    const dark = await open('leak', { colorScheme: 'dark' });
    expect(await paperOf(light.page)).toBe('rgb(251, 251, 249)');
    expect(await paperOf(dark.page)).toBe('rgb(21, 24, 27)');
    const inkOf = "getComputedStyle(document.querySelector('h1')).color";
    expect(await dark.page.evaluate(inkOf)).toBe('rgb(227, 230, 232)');
    await dark.page.emulateMedia({ media: 'print', colorScheme: 'dark' });
    expect(await dark.page.evaluate(inkOf)).toBe('rgb(27, 32, 36)');
    expect(await paperOf(dark.page)).toBe('rgb(255, 255, 255)');
    expect(await dark.page.locator('.controls').isVisible()).toBe(false);
    await light.page.close();
    await dark.page.close();
  });

  test('titles with markup stand there as text', async () => {
    const { page } = await open('gb200');
    expect(await page.locator('h1').innerText()).toBe(
      'One "buffer" <over> four devices & two CPUs',
    );
    await page.close();
  });
});
