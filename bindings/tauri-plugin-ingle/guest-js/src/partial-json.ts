/**
 * Reads JSON while it is being written, by a model that may put prose or a code fence around it.
 * Each piece of text is read once. `snapshot` shows what is there: open strings as far as they
 * go, open numbers and literals as what they look like, keys once their value has begun.
 */

const DEEPEST = 200;
const LITERALS: Record<string, unknown> = {
  true: true,
  false: false,
  null: null,
  True: true,
  False: false,
  None: null,
};
const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;
const NUMBER_PREFIX = /^[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?/;
const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };

interface ObjectFrame {
  kind: 'object';
  value: Record<string, unknown>;
  key: string;
  expect: 'key' | 'colon' | 'value' | 'comma';
}

interface ArrayFrame {
  kind: 'array';
  value: unknown[];
  expect: 'value' | 'comma';
}

type Frame = ObjectFrame | ArrayFrame;

type Token =
  { kind: 'string'; text: string; escape: string; isKey: boolean } | { kind: 'bare'; text: string };

/** `seeking` the start, `partial` inside the value, `complete` after it. */
export type PartialJsonState = 'seeking' | 'partial' | 'complete';

export class PartialJson {
  private text = '';
  private at = 0;
  private begin = 0;
  private stack: Frame[] = [];
  private token: Token | null = null;
  private root: unknown;
  private phase: PartialJsonState = 'seeking';

  /** @param want what the outermost value is; prose is skipped until one opens. */
  constructor(private readonly want: 'object' | 'array' = 'object') {}

  get state(): PartialJsonState {
    return this.phase;
  }

  /** The text of the value, from its start as far as it has been read. */
  get source(): string {
    return this.phase === 'seeking' ? '' : this.text.slice(this.begin, this.at);
  }

  feed(chunk: string): this {
    this.text += chunk;
    this.run();
    return this;
  }

  /** After a complete value: looks for another one in what follows it. */
  skip(): this {
    if (this.phase === 'complete') {
      this.restart(this.at);
      this.run();
    }
    return this;
  }

  /**
   * The value so far, undefined before it begins. Never changes afterwards: finished parts are
   * shared between snapshots, open ones are copied.
   */
  snapshot(): unknown {
    if (this.phase === 'complete') return this.root;
    let child = this.token && openValue(this.token);
    let has = child !== undefined && this.token !== null;
    for (let i = this.stack.length - 1; i >= 0; i--) {
      const frame = this.stack[i]!;
      if (frame.kind === 'array') child = has ? [...frame.value, child] : [...frame.value];
      else {
        const copy = { ...frame.value };
        if (has) setKey(copy, frame.key, child);
        child = copy;
      }
      has = true;
    }
    return has ? child : undefined;
  }

  private restart(at: number): void {
    this.at = at;
    this.stack = [];
    this.token = null;
    this.phase = 'seeking';
  }

  private run(): void {
    while (this.at < this.text.length && this.phase !== 'complete') {
      if (this.phase === 'seeking') this.seek();
      // What looked like the start was not: go on behind it.
      else if (!this.step(this.text[this.at]!)) this.restart(this.begin + 1);
    }
  }

  private seek(): void {
    const found = this.text.indexOf(this.want === 'object' ? '{' : '[', this.at);
    if (found < 0) {
      this.at = this.text.length;
      return;
    }
    this.begin = found;
    this.at = found + 1;
    this.phase = 'partial';
    this.push(this.want);
  }

  private push(kind: Frame['kind']): void {
    this.stack.push(
      kind === 'object'
        ? { kind, value: {}, key: '', expect: 'key' }
        : { kind, value: [], expect: 'value' },
    );
  }

  /* Takes one character; false if it cannot be there. */
  private step(char: string): boolean {
    if (this.token?.kind === 'string') return this.stepString(this.token, char);
    if (this.token?.kind === 'bare') return this.stepBare(this.token, char);
    this.at++;
    if (/\s/.test(char)) return true;
    const frame = this.stack[this.stack.length - 1]!;
    if (char === (frame.kind === 'object' ? '}' : ']')) return this.closeFrame(frame);
    switch (frame.expect) {
      case 'key':
        return char === '"' && this.open({ kind: 'string', text: '', escape: '', isKey: true });
      case 'colon':
        frame.expect = 'value';
        return char === ':';
      case 'comma':
        frame.expect = frame.kind === 'object' ? 'key' : 'value';
        return char === ',';
      case 'value':
        return this.startValue(char);
    }
  }

  private startValue(char: string): boolean {
    if (char === '{' || char === '[') {
      if (this.stack.length >= DEEPEST) {
        // None of the starts before this one would fare better.
        this.restart(this.at);
        return true;
      }
      this.push(char === '{' ? 'object' : 'array');
      return true;
    }
    if (char === '"') return this.open({ kind: 'string', text: '', escape: '', isKey: false });
    return /[-+.\dA-Za-z]/.test(char) && this.open({ kind: 'bare', text: char });
  }

  private open(token: Token): true {
    this.token = token;
    return true;
  }

  private stepString(token: Token & { kind: 'string' }, char: string): boolean {
    if (!token.escape && char !== '\\' && char !== '"') {
      const end = plainEnd(this.text, this.at);
      token.text += this.text.slice(this.at, end);
      this.at = end;
      return true;
    }
    this.at++;
    if (token.escape) return stepEscape(token, char);
    if (char === '\\') {
      token.escape = '\\';
      return true;
    }
    this.token = null;
    if (!token.isKey) return this.put(token.text);
    const frame = this.stack[this.stack.length - 1] as ObjectFrame;
    frame.key = token.text;
    frame.expect = 'colon';
    return true;
  }

  private stepBare(token: Token & { kind: 'bare' }, char: string): boolean {
    if (/[-+.\dA-Za-z]/.test(char)) {
      token.text += char;
      this.at++;
      return true;
    }
    this.token = null;
    if (token.text in LITERALS) return this.put(LITERALS[token.text]);
    return NUMBER.test(token.text) && this.put(Number(token.text));
  }

  private put(value: unknown): true {
    const frame = this.stack[this.stack.length - 1]!;
    if (frame.kind === 'array') frame.value.push(value);
    else setKey(frame.value, frame.key, value);
    frame.expect = 'comma';
    return true;
  }

  /* A comma before the bracket is forgiven, a key without its value is not. */
  private closeFrame(frame: Frame): boolean {
    if (frame.kind === 'object' && (frame.expect === 'colon' || frame.expect === 'value'))
      return false;
    this.stack.pop();
    if (this.stack.length) return this.put(frame.value);
    this.root = frame.value;
    this.phase = 'complete';
    return true;
  }
}

/* "__proto__" is a key as any other. */
function setKey(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(object, key, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  else object[key] = value;
}

function plainEnd(text: string, from: number): number {
  let end = from;
  while (end < text.length && text[end] !== '"' && text[end] !== '\\') end++;
  return end;
}

function stepEscape(token: Token & { kind: 'string' }, char: string): boolean {
  if (token.escape === '\\' && char !== 'u') {
    token.text += ESCAPES[char] ?? ('"\\/'.includes(char) ? char : `\\${char}`);
    token.escape = '';
    return true;
  }
  token.escape += char;
  if (token.escape.length < 6) return token.escape.length === 2 || /[\da-fA-F]/.test(char);
  if (!/[\da-fA-F]/.test(char)) return false;
  token.text += String.fromCharCode(parseInt(token.escape.slice(2), 16));
  token.escape = '';
  return true;
}

function openValue(token: Token): unknown {
  if (token.kind === 'string')
    // Half of a surrogate pair is no text yet.
    return token.isKey ? undefined : token.text.replace(/[\uD800-\uDBFF]$/, '');
  const literal = Object.keys(LITERALS).find((name) => name.startsWith(token.text));
  if (literal) return LITERALS[literal];
  const number = NUMBER_PREFIX.exec(token.text);
  return number ? Number(number[0]) : undefined;
}

/** The complete objects or arrays in a text, in order, without those inside others. */
export function* jsonValues(text: string, want: 'object' | 'array'): Generator<unknown, void> {
  const json = new PartialJson(want).feed(text);
  while (json.state === 'complete') {
    yield json.snapshot();
    json.skip();
  }
}

/** One look at a text that may be cut off: the value in it, as far as it goes. */
export function parsePartialJson(
  text: string,
  want: 'object' | 'array' = 'object',
): { value: unknown; state: PartialJsonState } {
  const json = new PartialJson(want).feed(text);
  return { value: json.snapshot(), state: json.state };
}
