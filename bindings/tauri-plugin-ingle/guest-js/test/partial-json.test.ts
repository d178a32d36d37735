import { describe, expect, it } from 'vitest';
import { parsePartialJson, PartialJson } from '../src/index.js';
import { jsonValues } from '../src/partial-json.js';

const at = (text: string, want: 'object' | 'array' = 'object'): unknown =>
  parsePartialJson(text, want).value;

describe('a value that is still being written', () => {
  it.each<[string, unknown]>([
    ['', undefined],
    ['  ', undefined],
    ['{', {}],
    ['{"', {}],
    ['{"na', {}],
    ['{"name"', {}],
    ['{"name":', {}],
    ['{"name": "', { name: '' }],
    ['{"name": "A', { name: 'A' }],
    ['{"name": "A\\', { name: 'A' }],
    ['{"name": "A\\n', { name: 'A\n' }],
    ['{"name": "A\\u00', { name: 'A' }],
    ['{"name": "A\\u00e9', { name: 'Aé' }],
    ['{"e": "\\ud83d', { e: '' }],
    ['{"e": "\\ud83d\\ude00', { e: '😀' }],
    ['{"a": t', { a: true }],
    ['{"a": fals', { a: false }],
    ['{"a": n', { a: null }],
    ['{"a": -', {}],
    ['{"a": -1', { a: -1 }],
    ['{"a": 12.', { a: 12 }],
    ['{"a": 12.5e', { a: 12.5 }],
    ['{"a": 12.5e-', { a: 12.5 }],
    ['{"a": 12.5e-1', { a: 1.25 }],
    ['{"a": 1, ', { a: 1 }],
    ['{"a": [', { a: [] }],
    ['{"a": [1', { a: [1] }],
    ['{"a": [1, {"b": "c', { a: [1, { b: 'c' }] }],
    ['{"a": [1, {"b": "c"}', { a: [1, { b: 'c' }] }],
    ['{"a": [1, {"b": "c"}], "d": {"e": tru', { a: [1, { b: 'c' }], d: { e: true } }],
  ])('%j', (text, value) => {
    expect(at(text)).toEqual(value);
    expect(parsePartialJson(text).state).not.toBe('complete');
  });
});

describe('what models write around and into JSON', () => {
  it.each<[string, unknown]>([
    ['Sure! Here it is: {"a": 1} Hope that helps.', { a: 1 }],
    ['```json\n{"a": 1}\n```', { a: 1 }],
    ['The {braces} of {"x" y} then {"a": 1}', { a: 1 }],
    ['{{"a": 1}}', { a: 1 }],
    ['{"a": [1, 2,], }', { a: [1, 2] }],
    ['{"a": True, "b": None, "c": False}', { a: true, b: null, c: false }],
    ['{"a": "two\nlines\tand a tab"}', { a: 'two\nlines\tand a tab' }],
    ['{"path": "C:\\dir\\x"}', { path: 'C:\\dir\\x' }],
    ['{"a": +1, "b": .5, "c": 2.}', { a: 1, b: 0.5, c: 2 }],
    ['{"a": "\\"\\/\\\\\\b\\f\\r"}', { a: '"/\\\b\f\r' }],
  ])('%j', (text, value) => {
    expect(parsePartialJson(text)).toEqual({ value, state: 'complete' });
  });

  it('finds arrays when an array is wanted', () => {
    expect(at('List: [{"a": [1]}, 2', 'array')).toEqual([{ a: [1] }, 2]);
    expect(at('[1] is not it, "a": {', 'object')).toEqual({});
  });

  it('finds nothing where nothing is', () => {
    for (const text of ['no json', '{oops', '{"a" 1}', '{"a": nope}', '{"a":}', '{"a": "\\uzzzz"}'])
      expect(parsePartialJson(text).state).not.toBe('complete');
    expect(at('{"a": nope}')).toBeUndefined();
  });

  it('gives every value of a text', () => {
    expect([...jsonValues('{"a":1} and {"b":{"c":2}} {', 'object')]).toEqual([
      { a: 1 },
      { b: { c: 2 } },
    ]);
  });

  it('does not let a key change the prototype', () => {
    const value = at('{"__proto__": {"bad": true}, "x": {"__proto__": 1}}') as object;
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.keys(value)).toEqual(['__proto__', 'x']);
    expect(({} as { bad?: boolean }).bad).toBeUndefined();
    const open = at('{"__proto__": {"bad": tr') as object;
    expect(Object.getPrototypeOf(open)).toBe(Object.prototype);
  });

  it('refuses endless nesting without falling over', () => {
    expect(parsePartialJson('{"a":'.repeat(100_000)).state).toBe('partial');
    expect(parsePartialJson('['.repeat(20_000), 'array').state).toBe('partial');
  });
});

/* A small generator of values and a seeded one of numbers, so that a failure can be repeated. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function makeValue(next: () => number, depth: number): unknown {
  const pick = Math.floor(next() * (depth > 3 ? 5 : 8));
  if (pick === 0) return null;
  if (pick === 1) return next() < 0.5;
  if (pick === 2) return Math.round((next() - 0.5) * 1e6) / 10 ** Math.floor(next() * 6);
  if (pick <= 4) return makeText(next);
  if (pick <= 5)
    return Array.from({ length: Math.floor(next() * 4) }, () => makeValue(next, depth + 1));
  return makeObject(next, depth);
}

function makeObject(next: () => number, depth: number): Record<string, unknown> {
  const entries = Array.from({ length: Math.floor(next() * 5) }, () => [
    makeText(next),
    makeValue(next, depth + 1),
  ]);
  return Object.fromEntries(entries) as Record<string, unknown>;
}

function makeText(next: () => number): string {
  const letters = [
    'a',
    'B',
    '"',
    '\\',
    '\n',
    'é',
    '😀',
    '{',
    '}',
    '[',
    ',',
    ':',
    ' ',
    '\u0001',
    '名',
  ];
  return Array.from(
    { length: Math.floor(next() * 8) },
    () => letters[Math.floor(next() * letters.length)],
  ).join('');
}

/* Everything an earlier snapshot shows is in the later one: text only grows, parts stay. */
function grows(before: unknown, after: unknown): boolean {
  if (typeof before === 'string') return typeof after === 'string' && after.startsWith(before);
  if (Array.isArray(before))
    return Array.isArray(after) && before.every((item, i) => grows(item, after[i]));
  if (typeof before === 'object' && before !== null)
    return Object.entries(before).every(([key, item]) =>
      grows(item, (after as Record<string, unknown> | null)?.[key]),
    );
  return before === undefined || typeof before === typeof after || after === null;
}

describe('random values', () => {
  it('come out as they went in, whatever the pieces, and only grow', () => {
    for (let seed = 1; seed <= 400; seed++) {
      const next = random(seed);
      const value = makeObject(next, 0);
      const text = JSON.stringify(value, null, seed % 3);
      const json = new PartialJson('object');
      let before: unknown;
      for (let i = 0; i < text.length;) {
        const size = 1 + Math.floor(next() * 6);
        json.feed(text.slice(i, i + size));
        i += size;
        const snapshot = json.snapshot();
        expect(grows(before, snapshot), `seed ${seed}: ${text.slice(0, i)}`).toBe(true);
        before = snapshot;
      }
      expect(json.state).toBe('complete');
      expect(json.snapshot()).toEqual(value);
      expect(json.source).toBe(text);
    }
  });

  it('a snapshot never changes afterwards', () => {
    const json = new PartialJson('object').feed('{"a": {"b": [1, "x');
    const early = json.snapshot();
    const copy = JSON.stringify(early);
    json.feed('yz", 3], "c": 4}, "d": 5}');
    expect(JSON.stringify(early)).toBe(copy);
    expect(json.snapshot()).toEqual({ a: { b: [1, 'xyz', 3], c: 4 }, d: 5 });
  });

  it('rubbish is read to the end without an exception', () => {
    const letters = [
      '{',
      '}',
      '[',
      ']',
      '"',
      ',',
      ':',
      '\\',
      'u',
      '1',
      '-',
      '.',
      'e',
      't',
      'n',
      ' ',
    ];
    for (let seed = 1; seed <= 3000; seed++) {
      const next = random(seed);
      const text = Array.from(
        { length: 40 },
        () => letters[Math.floor(next() * letters.length)],
      ).join('');
      const json = new PartialJson(seed % 2 ? 'object' : 'array');
      for (const char of text) json.feed(char).snapshot();
      expect(json.feed(text).state).toBeTypeOf('string');
    }
  });
});
