import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { validateJsonSchema, type JsonSchema } from '../src/index.js';

const person: JsonSchema = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 5, pattern: '^[A-Z]' },
    age: { type: 'integer', minimum: 0, exclusiveMaximum: 150 },
    tags: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 2, uniqueItems: true },
    kind: { enum: ['a', 'b', null] },
  },
  required: ['name'],
  additionalProperties: false,
};

const said = (schema: JsonSchema | boolean, value: unknown): string[] =>
  validateJsonSchema(schema, value).map((one) => `${one.path.join('.')}: ${one.message}`);

describe('validateJsonSchema', () => {
  it('accepts what matches', () => {
    expect(said(person, { name: 'Ada', age: 3, tags: ['x'], kind: null })).toEqual([]);
    expect(said({}, 5)).toEqual([]);
    expect(said(true, 5)).toEqual([]);
  });

  it.each<[unknown, string]>([
    [5, ': must be object, is number'],
    [null, ': must be object, is null'],
    [{}, 'name: is missing'],
    [{ name: 5 }, 'name: must be string, is number'],
    [{ name: '' }, 'name: must have at least 1 characters'],
    [{ name: 'Abcdef' }, 'name: must have at most 5 characters'],
    [{ name: 'ada' }, 'name: must match ^[A-Z]'],
    [{ name: 'A', age: 1.5 }, 'age: must be integer, is number'],
    [{ name: 'A', age: -1 }, 'age: must be >= 0'],
    [{ name: 'A', age: 150 }, 'age: must be < 150'],
    [{ name: 'A', tags: [] }, 'tags: must have at least 1 items'],
    [{ name: 'A', tags: ['x', 'y', 'z'] }, 'tags: must have at most 2 items'],
    [{ name: 'A', tags: ['x', 'x'] }, 'tags: must not hold the same item twice'],
    [{ name: 'A', tags: ['x', 2] }, 'tags.1: must be string, is number'],
    [{ name: 'A', kind: 'c' }, 'kind: must be one of "a", "b", null'],
    [{ name: 'A', more: 1 }, 'more: is not allowed'],
  ])('%j', (value, message) => {
    expect(said(person, value)).toContain(message);
  });

  it('follows references and combinations', () => {
    const tree: JsonSchema = {
      $ref: '#/$defs/node',
      $defs: {
        node: {
          type: 'object',
          properties: { next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } },
          required: ['next'],
        },
      },
    };
    expect(said(tree, { next: { next: null } })).toEqual([]);
    expect(said(tree, { next: { next: 5 } })).toEqual(['next: matches none of the allowed forms']);
    expect(said({ oneOf: [{ type: 'number' }, { type: 'integer' }] }, 1)).toHaveLength(1);
    expect(said({ oneOf: [{ type: 'number' }, { type: 'string' }] }, 1)).toEqual([]);
    expect(said({ allOf: [{ minimum: 1 }, { maximum: 2 }] }, 3)).toEqual([': must be <= 2']);
    expect(said({ not: { type: 'string' } }, 'x')).toHaveLength(1);
    expect(said({ const: { a: [1] } }, { a: [1] })).toEqual([]);
    expect(said({ const: { a: [1] } }, { a: [2] })).toHaveLength(1);
    expect(said({ type: ['string', 'null'] }, null)).toEqual([]);
    expect(said({ type: 'string', nullable: true }, null)).toEqual([]);
    expect(said({ multipleOf: 0.1 }, 0.3)).toEqual([]);
    expect(said({ multipleOf: 0.1 }, 0.35)).toHaveLength(1);
    const tuple = { prefixItems: [{ type: 'string' }], items: { type: 'number' } };
    expect(said(tuple, ['a', 1, 'b'])).toEqual(['2: must be number, is string']);
    const map = {
      patternProperties: { '^n': { type: 'number' } },
      additionalProperties: { type: 'string' },
    };
    expect(said(map, { n1: 1, x: 's' })).toEqual([]);
    expect(said(map, { n1: 's', x: 1 })).toHaveLength(2);
  });

  it('ends on a schema that leads back to itself', () => {
    const loop: JsonSchema = { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } };
    expect(said(loop, 1)).toEqual([': is nested too deep']);
    expect(said({ $ref: '#/nowhere' }, 1)).toEqual([]);
  });

  it('agrees with zod on schemas that zod writes', () => {
    const schema = z.object({
      id: z.int().min(1),
      mail: z.string().min(3).optional(),
      size: z.enum(['s', 'm']),
      parts: z.array(z.object({ n: z.number().nullable() })).max(2),
      either: z.union([z.string(), z.boolean()]),
    });
    const json = z.toJSONSchema(schema) as JsonSchema;
    const values: unknown[] = [
      { id: 1, size: 's', parts: [], either: 'x' },
      { id: 1, size: 's', parts: [{ n: null }, { n: 2 }], either: true, mail: 'a@b' },
      { id: 0, size: 's', parts: [], either: 'x' },
      { id: 1, size: 'l', parts: [], either: 'x' },
      { id: 1, size: 's', parts: [{ n: 'x' }], either: 'x' },
      { id: 1, size: 's', parts: [{ n: 1 }, { n: 1 }, { n: 1 }], either: 'x' },
      { id: 1, size: 's', parts: [], either: 1 },
      { id: 1, size: 's', parts: [], either: 'x', mail: '' },
      { size: 's', parts: [], either: 'x' },
      [],
      'x',
    ];
    for (const value of values)
      expect(said(json, value).length === 0, JSON.stringify(value)).toBe(
        schema.safeParse(value).success,
      );
  });
});
