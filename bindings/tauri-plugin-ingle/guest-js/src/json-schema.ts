import type { JsonSchema } from './types.js';

/** What is wrong in a value, and where. */
export interface Issue {
  message: string;
  path: (string | number)[];
}

/**
 * Compares a value with a JSON Schema: the keywords models are asked for. Unknown keywords are
 * ignored, `$ref` works inside the schema. Stops after a few issues.
 */
export function validateJsonSchema(schema: JsonSchema | boolean, value: unknown): Issue[] {
  const check = new Check(schema);
  check.visit(schema, value, [], 0);
  return check.issues;
}

const MOST_ISSUES = 10;
const DEEPEST = 200;

type Path = (string | number)[];

class Check {
  readonly issues: Issue[] = [];

  constructor(private readonly root: JsonSchema | boolean) {}

  visit(schema: unknown, value: unknown, path: Path, depth: number): void {
    if (this.issues.length >= MOST_ISSUES || schema === true || schema === undefined) return;
    if (schema === false || !isObject(schema)) {
      this.say(path, 'is not allowed');
      return;
    }
    if (depth > DEEPEST) {
      this.say(path, 'is nested too deep');
      return;
    }
    if (typeof schema['$ref'] === 'string')
      this.visit(this.resolve(schema['$ref']), value, path, depth + 1);
    if (!this.type(schema, value, path)) return;
    if ('const' in schema && !same(schema['const'], value))
      this.say(path, `must be ${show(schema['const'])}`);
    if (Array.isArray(schema['enum']) && !schema['enum'].some((one) => same(one, value)))
      this.say(path, `must be one of ${schema['enum'].map(show).join(', ')}`);
    if (typeof value === 'string') this.string(schema, value, path);
    if (typeof value === 'number') this.number(schema, value, path);
    if (Array.isArray(value)) this.array(schema, value, path, depth);
    else if (isObject(value)) this.object(schema, value, path, depth);
    this.combined(schema, value, path, depth);
  }

  private say(path: Path, message: string): void {
    if (this.issues.length < MOST_ISSUES) this.issues.push({ message, path });
  }

  private resolve(ref: string): unknown {
    if (!ref.startsWith('#')) return true;
    let node: unknown = this.root;
    for (const part of ref.slice(1).split('/').slice(1)) {
      const key = decodeURIComponent(part).replace(/~1/g, '/').replace(/~0/g, '~');
      node = isObject(node) || Array.isArray(node) ? (node as JsonSchema)[key] : undefined;
    }
    return node ?? true;
  }

  private type(schema: JsonSchema, value: unknown, path: Path): boolean {
    const wanted = schema['type'];
    if (wanted === undefined || (schema['nullable'] === true && value === null)) return true;
    const types = Array.isArray(wanted) ? wanted : [wanted];
    const is = typeOf(value);
    const fits = types.some(
      (type) => type === is || (type === 'integer' && Number.isInteger(value)),
    );
    if (!fits) this.say(path, `must be ${types.map(String).join(' or ')}, is ${is}`);
    return fits;
  }

  private string(schema: JsonSchema, value: string, path: Path): void {
    const { length } = Array.from(value);
    this.bounds(schema, 'minLength', 'maxLength', length, path, 'characters');
    const pattern = schema['pattern'];
    if (typeof pattern === 'string' && !matches(pattern, value))
      this.say(path, `must match ${pattern}`);
  }

  private number(schema: JsonSchema, value: number, path: Path): void {
    const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema as Record<
      string,
      number | undefined
    >;
    if (typeof minimum === 'number' && value < minimum) this.say(path, `must be >= ${minimum}`);
    if (typeof maximum === 'number' && value > maximum) this.say(path, `must be <= ${maximum}`);
    if (typeof exclusiveMinimum === 'number' && value <= exclusiveMinimum)
      this.say(path, `must be > ${exclusiveMinimum}`);
    if (typeof exclusiveMaximum === 'number' && value >= exclusiveMaximum)
      this.say(path, `must be < ${exclusiveMaximum}`);
    if (typeof multipleOf === 'number' && !isMultiple(value, multipleOf))
      this.say(path, `must be a multiple of ${multipleOf}`);
  }

  private bounds(
    schema: JsonSchema,
    min: string,
    max: string,
    size: number,
    path: Path,
    what: string,
  ): void {
    const least = schema[min];
    const most = schema[max];
    if (typeof least === 'number' && size < least)
      this.say(path, `must have at least ${least} ${what}`);
    if (typeof most === 'number' && size > most)
      this.say(path, `must have at most ${most} ${what}`);
  }

  private array(schema: JsonSchema, value: unknown[], path: Path, depth: number): void {
    this.bounds(schema, 'minItems', 'maxItems', value.length, path, 'items');
    const prefix = Array.isArray(schema['prefixItems']) ? (schema['prefixItems'] as unknown[]) : [];
    value.forEach((item, i) => {
      const rule = i < prefix.length ? prefix[i] : schema['items'];
      this.visit(rule, item, [...path, i], depth + 1);
    });
    const twice = (item: unknown, i: number): boolean =>
      value.slice(0, i).some((other) => same(item, other));
    if (schema['uniqueItems'] === true && value.some(twice))
      this.say(path, 'must not hold the same item twice');
  }

  private object(schema: JsonSchema, value: JsonSchema, path: Path, depth: number): void {
    const properties = isObject(schema['properties']) ? schema['properties'] : {};
    const patterns = isObject(schema['patternProperties']) ? schema['patternProperties'] : {};
    for (const name of Array.isArray(schema['required']) ? schema['required'] : [])
      if (!Object.hasOwn(value, String(name))) this.say([...path, String(name)], 'is missing');
    const size = Object.keys(value).length;
    this.bounds(schema, 'minProperties', 'maxProperties', size, path, 'properties');
    for (const [key, field] of Object.entries(value)) {
      const rules = Object.keys(patterns)
        .filter((pattern) => matches(pattern, key))
        .map((pattern) => patterns[pattern]);
      if (Object.hasOwn(properties, key)) rules.push(properties[key]);
      if (rules.length === 0) rules.push(schema['additionalProperties']);
      for (const rule of rules) this.visit(rule, field, [...path, key], depth + 1);
      this.visit(schema['propertyNames'], key, [...path, key], depth + 1);
    }
  }

  private combined(schema: JsonSchema, value: unknown, path: Path, depth: number): void {
    const fitting = (rules: unknown[]): number =>
      rules.filter((rule) => this.fits(rule, value, depth)).length;
    const { allOf, anyOf, oneOf } = schema;
    if (Array.isArray(allOf)) for (const rule of allOf) this.visit(rule, value, path, depth + 1);
    if (Array.isArray(anyOf) && fitting(anyOf) === 0)
      this.say(path, 'matches none of the allowed forms');
    if (Array.isArray(oneOf) && fitting(oneOf) !== 1)
      this.say(path, 'must match exactly one of the allowed forms');
    if ('not' in schema && this.fits(schema['not'], value, depth))
      this.say(path, 'has a form that is not allowed');
  }

  private fits(rule: unknown, value: unknown, depth: number): boolean {
    const inner = new Check(this.root);
    inner.visit(rule, value, [], depth + 1);
    return inner.issues.length === 0;
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function show(value: unknown): string {
  return JSON.stringify(value);
}

/* 0.3 is a multiple of 0.1 although 0.3 / 0.1 is not whole. */
function isMultiple(value: number, of: number): boolean {
  const times = value / of;
  return Math.abs(times - Math.round(times)) < 1e-9 * Math.max(1, Math.abs(times));
}

function matches(pattern: string, text: string): boolean {
  try {
    return new RegExp(pattern, 'u').test(text);
  } catch {
    return true;
  }
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((item, i) => same(item, b[i]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]))
  );
}
