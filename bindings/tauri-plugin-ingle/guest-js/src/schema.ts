import { IngleError } from './errors.js';
import { isObject, validateJsonSchema, type Issue } from './json-schema.js';
import type { JsonSchema } from './types.js';

export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** What zod, valibot, arktype and others have in common (Standard Schema, version 1). */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** A schema of zod or a like library, or a JSON Schema. */
export type Schema = StandardSchema | JsonSchema;

/** The type a schema stands for; `unknown` for a bare JSON Schema (see `jsonSchema`). */
export type Infer<S> = S extends { readonly '~standard': { readonly types?: infer T } }
  ? NonNullable<T> extends { readonly output: infer Output }
    ? Output
    : unknown
  : unknown;

/** A JSON Schema that knows its type: `jsonSchema<Recipe>({ type: 'object', ... })`. */
export function jsonSchema<T>(schema: JsonSchema): StandardSchema<T> & { jsonSchema: JsonSchema } {
  return {
    jsonSchema: schema,
    '~standard': {
      version: 1,
      vendor: 'ingle',
      validate: (value) => {
        const issues = validateJsonSchema(schema, value);
        return issues.length ? { issues } : { value: value as T };
      },
    },
  };
}

/** A schema made ready: what the model is told, what its answer is held against. */
export interface PreparedSchema {
  /** Always of an object or an array. */
  json: JsonSchema;
  root: 'object' | 'array';
  /** The part of a read value the caller asked for; a lone string or number comes in a box. */
  unwrap: (value: unknown) => unknown;
  validate: (value: unknown) => Promise<{ value: unknown } | { issues: Issue[] }>;
}

export function prepareSchema(schema: Schema, given?: JsonSchema): PreparedSchema {
  const json = given ?? jsonOf(schema);
  const root = rootOf(json);
  const validate = async (value: unknown): Promise<{ value: unknown } | { issues: Issue[] }> => {
    if (!isStandard(schema)) {
      const issues = validateJsonSchema(schema, value);
      return issues.length ? { issues } : { value };
    }
    const result = await schema['~standard'].validate(value);
    if (!result.issues) return { value: result.value };
    return { issues: result.issues.map(plainIssue) };
  };
  if (root) return { json, root, unwrap: (value) => value, validate };
  return {
    json: boxed(json),
    root: 'object',
    unwrap: (value) => (isObject(value) ? value['value'] : undefined),
    validate,
  };
}

/* References into the schema must still lead there when it lies in a box. */
function boxed(json: JsonSchema): JsonSchema {
  const { $defs, definitions, $schema, ...rest } = json;
  return {
    ...($schema === undefined ? {} : { $schema }),
    type: 'object',
    properties: { value: rest },
    required: ['value'],
    additionalProperties: false,
    ...($defs === undefined ? {} : { $defs }),
    ...(definitions === undefined ? {} : { definitions }),
  };
}

function isStandard(schema: Schema): schema is StandardSchema {
  return '~standard' in schema;
}

function rootOf(json: JsonSchema): 'object' | 'array' | null {
  const all = Array.isArray(json['anyOf']) ? json['anyOf'] : json['oneOf'];
  const roots = Array.isArray(all) && !json['type'] ? all.map(rootOf) : [json['type']];
  if (roots.every((one) => one === 'object')) return 'object';
  return roots.every((one) => one === 'array') ? 'array' : null;
}

type ToJson = (options: { target: string }) => JsonSchema;

function jsonOf(schema: Schema): JsonSchema {
  if (!isStandard(schema)) return schema;
  const standard = schema['~standard'] as { jsonSchema?: { input?: ToJson }; vendor: string };
  const own = schema as { toJSONSchema?: () => JsonSchema; jsonSchema?: JsonSchema };
  try {
    if (isObject(own.jsonSchema)) return own.jsonSchema;
    if (standard.jsonSchema?.input) return standard.jsonSchema.input({ target: 'draft-2020-12' });
    if (typeof own.toJSONSchema === 'function') return own.toJSONSchema();
  } catch (error) {
    throw new IngleError(
      'bad_argument',
      `this schema cannot be written as JSON Schema: ${error instanceof Error ? error.message : String(error)}`,
      'give the form the model shall write as `jsonSchema`',
    );
  }
  throw new IngleError(
    'bad_argument',
    `a schema of ${standard.vendor} does not tell its JSON Schema`,
    'give it as `jsonSchema`, for example z.toJSONSchema(schema) or toJsonSchema(schema) of valibot',
  );
}

function plainIssue(issue: StandardIssue): Issue {
  const path = (issue.path ?? []).map((part) => {
    const key = typeof part === 'object' ? part.key : part;
    return typeof key === 'number' ? key : String(key);
  });
  return { message: issue.message, path };
}

/** Issues as lines a model and a person can read. */
export function issueText(issues: Issue[]): string {
  return issues
    .map((issue) => `${issue.path.length ? issue.path.join('.') : 'the value'}: ${issue.message}`)
    .join('\n');
}
