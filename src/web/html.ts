// HTML as values: text that enters a template is escaped, so a title such as `<b> & "x"` is
// shown and never read as markup. What is markup already has the type Html and passes as it is.
// Holds    HTM1 no string reaches a page but through `html` (escaped) or `trusted` (our own
//          constants).

/** Markup that is safe to put into a page. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
}

/** What a template takes: lists are joined; false and undefined leave nothing. */
export type HtmlValue = Html | string | number | false | undefined | readonly HtmlValue[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A text for element content or a quoted attribute. */
export const escapeHtml = (text: string): string =>
  text.replace(/[&<>"']/g, (c) => ENTITIES[c] as string);

function render(value: HtmlValue): string {
  if (value === undefined || value === false) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return value.map(render).join('');
}

/** The template tag: html`<b>${title}</b>`. Attribute values have to stand in double quotes. */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  let text = parts[0] as string;
  values.forEach((value, i) => {
    text += render(value) + (parts[i + 1] as string);
  });
  return new Html(text);
}

/** Text of this project that is markup: style sheets and scripts. Never for what a person wrote. */
export const trusted = (text: string): Html => new Html(text);

/** Items with a separator between them. */
export const joined = (items: readonly HtmlValue[], separator: HtmlValue): HtmlValue[] =>
  items.flatMap((item, i) => (i === 0 ? [item] : [separator, item]));
