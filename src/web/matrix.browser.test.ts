// The page of the matrix in a real browser. Skipped where there is no Chromium, except in CI.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findDesign } from '../designs/index.ts';
import { type Matrix, runMatrix } from '../lab/matrix.ts';
import { VERDICT_WORDS } from '../lab/story.ts';
import { renderMatrix } from './matrix_page.ts';

const CHROMIUM = '/usr/bin/chromium';
const ARGS = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-background-networking'];
const isSkipped = !existsSync(CHROMIUM) && process.env.CI !== 'true';
if (isSkipped) {
  console.warn(`SKIPPED: src/web/matrix.browser.test.ts, the matrix in a browser: no ${CHROMIUM}`);
}

const matrix = runMatrix({
  designs: ['stock', 'allocator-gate', 'limited-node'].map(findDesign),
  scenarios: ['text-stays', 'claims/policy-is-enough'],
});
/** As many designs and words as there may be, and text that has to be escaped. */
const wide: Matrix = {
  designs: Array.from({ length: 10 }, (_, i) => `memory-design-${i}`),
  rows: Array.from({ length: VERDICT_WORDS.length }, (_, r) => ({
    ...(matrix.rows[0] as Matrix['rows'][number]),
    name: `claims/scenario-${r}`,
    title: 'A <b>bold</b> title & more',
    cells: Array.from({ length: 10 }, (_, i) => {
      const word = VERDICT_WORDS[(r + i) % VERDICT_WORDS.length] ?? 'kept';
      const notModelled = word === 'not modelled' ? { notModelled: 'swap "here"' } : {};
      return {
        word,
        text: `${word} 163,840, spilled 9,999`,
        nrFailed: i === 3 ? 2 : 0,
        ...notModelled,
      };
    }),
    numbers: Array.from({ length: 10 }, (_, i) => ({
      ...((matrix.rows[0] as Matrix['rows'][number])
        .numbers[0] as Matrix['rows'][number]['numbers'][number]),
      design: `memory-design-${i}`,
      estimatedTimeNs: 1e7,
    })),
  })),
  verdicts: Array.from({ length: 10 }, (_, i) => ({
    ...(matrix.verdicts[0] as Matrix['verdicts'][number]),
    design: `memory-design-${i}`,
  })),
};

describe.skipIf(isSkipped)('the matrix in a browser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cdmlab-matrix-'));
  let browser: Browser;

  beforeAll(async () => {
    writeFileSync(join(folder, 'own.html'), renderMatrix(matrix));
    writeFileSync(
      join(folder, 'wide.html'),
      renderMatrix(wide, (name) => `${name}.html`),
    );
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ARGS });
  });

  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(name: string, width: number, scheme: 'light' | 'dark' = 'light') {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme: scheme });
    const faults: string[] = [];
    const own = pathToFileURL(join(folder, `${name}.html`)).href;
    page.on('console', (message) => faults.push(`console: ${message.text()}`));
    page.on('request', (request) => {
      const url = request.url();
      if (url !== own && url !== 'data:,') faults.push(`request: ${url}`);
    });
    await page.goto(own);
    return { page, faults };
  }

  const overflow = async (page: Page): Promise<number> =>
    (await page.evaluate(
      'document.documentElement.scrollWidth - document.documentElement.clientWidth',
    )) as number;

  test('opens without errors or requests, and never scrolls sideways', async () => {
    for (const [name, width] of [
      ['own', 1280],
      ['own', 700],
      ['wide', 1280],
      ['wide', 700],
    ] as const) {
      const { page, faults } = await open(name, width);
      expect(await overflow(page)).toBe(0);
      expect(faults).toEqual([]);
      await page.close();
    }
  });

  test('every cell says its word and leads to its scenario; every design to its verdict', async () => {
    const { page } = await open('own', 1280);
    const rows = page.locator('table.outcomes tbody tr');
    expect(await rows.count()).toBe(2);
    for (const [i, row] of matrix.rows.entries()) {
      expect(await rows.nth(i).locator('td').allInnerTexts()).toEqual(row.cells.map((c) => c.text));
    }
    const hrefs = (await page.evaluate(
      "[...document.querySelectorAll('a')].map((a) => a.getAttribute('href'))",
    )) as string[];
    expect(hrefs.length).toBeGreaterThanOrEqual(20);
    const dead = (await page.evaluate(
      "[...document.querySelectorAll('a')].filter((a) => !document.querySelector(a.getAttribute('href'))).length",
    )) as number;
    expect(dead).toBe(0);
    await rows.nth(0).locator('td a').first().click();
    expect(await page.evaluate('location.hash')).toBe('#s-text-stays');
    await page.close();
  });

  test('words have colours of their own, in light and dark; text stays text', async () => {
    for (const scheme of ['light', 'dark'] as const) {
      const { page } = await open('wide', 1280, scheme);
      const colours = (await page.evaluate(
        `[...document.querySelectorAll('.key-words li')].map((e) => getComputedStyle(e).backgroundColor)`,
      )) as string[];
      expect(new Set(colours).size).toBe(VERDICT_WORDS.length);
      expect(await page.locator('section.one p').first().innerText()).toContain(
        'A <b>bold</b> title',
      );
      expect(await page.locator('small').count()).toBe(VERDICT_WORDS.length);
      await page.close();
    }
  });
});
