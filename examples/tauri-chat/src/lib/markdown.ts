import { Marked, type Token, type Tokens } from 'marked';

const marked = new Marked({ gfm: true });

/**
 * The blocks of a text. Only marked's lexer is used: the page is made of elements, never of HTML. Headings are moved so
 * that the first has level 2; level 1 is the title of the conversation.
 */
export function blocks(text: string): Token[] {
  const tokens: Token[] = marked
    .lexer(text)
    .filter((token) => token.type !== 'space' && token.type !== 'def');
  let first: number | null = null;
  for (const token of tokens) {
    if (token.type !== 'heading') continue;
    const { depth } = token as Tokens.Heading;
    first ??= depth;
    token.depth = Math.min(6, Math.max(2, depth - first + 2));
  }
  return tokens;
}

const NAMED: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  copy: '©',
  reg: '®',
  trade: '™',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  times: '×',
  divide: '÷',
  deg: '°',
  plusmn: '±',
  le: '≤',
  ge: '≥',
  ne: '≠',
  rarr: '→',
  larr: '←',
  bull: '•',
  middot: '·',
  euro: '€',
  pound: '£',
  sect: '§',
  micro: 'µ',
};

/** Character references, which marked leaves to the browser's HTML parser. Unknown ones stay as they are. */
export function decode(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]+));/gi, (all, dec, hex, name) => {
    if (typeof name === 'string') return NAMED[name] ?? all;
    const code = typeof dec === 'string' ? Number(dec) : parseInt(String(hex), 16);
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
      ? String.fromCodePoint(code)
      : all;
  });
}

/** The address if a click on it may leave the app, otherwise null. */
export function safeLink(href: string): string | null {
  try {
    const url = new URL(href);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}
