// Escaping, and numbers as people read them.
import { describe, expect, test } from 'vitest';
import { escapeHtml, html, joined, trusted } from './html.ts';
import { count, counted, inWords, perRequest, roughSize, roughTime } from './words.ts';

describe('html', () => {
  test('[HTM1] strings are escaped, in content and in attributes', () => {
    const evil = `<script>"&'</script>`;
    const page = html`<p title="${evil}">${evil}</p>`.text;
    const escaped = '&lt;script&gt;&quot;&amp;&#39;&lt;/script&gt;';
    expect(page).toBe(`<p title="${escaped}">${escaped}</p>`);
    expect(escapeHtml('plain text')).toBe('plain text');
  });

  test('markup passes as it is, lists are joined, false and undefined leave nothing', () => {
    const inner = html`<b>${1}</b>`;
    expect(html`<p>${[inner, false, undefined, ' & ']}${0}</p>`.text).toBe(
      '<p><b>1</b> &amp; 0</p>',
    );
    expect(html`${trusted('<i>')}`.text).toBe('<i>');
    expect(html`${joined(['a', 'b<', 'c'], ', ')}`.text).toBe('a, b&lt;, c');
  });
});

describe('words', () => {
  test('counts have their thousands apart and their nouns in number', () => {
    expect([0, 999, 1000, 1234567].map(count)).toEqual(['0', '999', '1,000', '1,234,567']);
    expect([0, 1, 2000].map((n) => counted(n, 'page'))).toEqual([
      'no pages',
      '1 page',
      '2,000 pages',
    ]);
  });

  test('sizes and times keep three digits', () => {
    expect(roughSize(4 * 1024 ** 3)).toBe('4 GiB');
    expect(roughSize(489935 * 1024 ** 2)).toBe('478 GiB');
    expect(roughSize(65536)).toBe('64 KiB');
    expect([999, 1500, 12_345_678, 3.2e11].map(roughTime)).toEqual([
      '999 ns',
      '1.5 us',
      '12.3 ms',
      '320 s',
    ]);
  });

  test('a ratio of nothing is nothing, and lists read as sentences', () => {
    expect(perRequest(0, 0)).toBe('0');
    expect(perRequest(3, 2)).toBe('1.50');
    expect([[], ['a'], ['a', 'b'], ['a', 'b', 'c']].map(inWords)).toEqual([
      '',
      'a',
      'a and b',
      'a, b and c',
    ]);
  });
});
