import { IngleError } from './errors.js';
import type { Issue } from './json-schema.js';
import { Latest } from './latest.js';
import { jsonValues, PartialJson } from './partial-json.js';
import { readableFrom, type IterableStream } from './readable.js';
import {
  issueText,
  prepareSchema,
  type Infer,
  type PreparedSchema,
  type Schema,
} from './schema.js';
import { chat, type ChatStream } from './streams.js';
import type { ChatRequest, Completion, DeepPartial, JsonSchema, Message } from './types.js';

export interface ObjectRequest<S extends Schema> extends Omit<
  ChatRequest,
  'messages' | 'responseFormat' | 'tools'
> {
  /** A schema of zod, valibot, arktype ..., a `jsonSchema<T>(...)`, or a bare JSON Schema. */
  schema: S;
  /** What to tell the model, where `schema` cannot be written as JSON Schema by itself. */
  jsonSchema?: JsonSchema;
  /** A name for the object, which helps some models. */
  name?: string;
  /** The question, or `messages`. */
  prompt?: string;
  system?: string;
  messages?: Message[];
  /** How often to ask again when the answer does not match. Default 2. */
  retries?: number;
}

export interface ObjectOptions {
  signal?: AbortSignal | undefined;
}

export interface ObjectResult<T> {
  object: T;
  /** The answer as the model wrote it. */
  text: string;
  /** How often the model was asked, 1 or more. */
  attempts: number;
  completion: Completion;
}

type Attempt =
  | { ok: true; value: unknown; completion: Completion }
  | { ok: false; issues: Issue[]; completion: Completion };

/** An object on its way: iterate it for what is there so far, await `object` for the whole. */
export class ObjectStream<T> implements AsyncIterable<DeepPartial<T>> {
  readonly object: Promise<T>;
  readonly result: Promise<ObjectResult<T>>;

  private readonly latest = new Latest<DeepPartial<T>>();
  private readonly schema: PreparedSchema;
  private attempts = 0;
  private readers = 0;
  private stopped = false;
  private stream: ChatStream | undefined;

  /** @internal Use `streamObject`. */
  constructor(
    private readonly request: ObjectRequest<Schema>,
    private readonly options: ObjectOptions,
  ) {
    this.schema = prepareSchema(request.schema, request.jsonSchema);
    this.result = this.run();
    this.object = this.result.then((result) => result.object);
    this.object.catch(() => undefined);
    this.result.then(
      () => {
        this.latest.end();
      },
      (error: unknown) => {
        this.latest.end(IngleError.from(error));
      },
    );
  }

  /** Which try it is, from 1. When it grows, the partial object begins anew. */
  get attempt(): number {
    return this.attempts;
  }

  /** The newest partial object. */
  get partial(): DeepPartial<T> | undefined {
    return this.latest.value;
  }

  /**
   * The object as it grows, not validated yet; a slow reader sees the newest only. Leaving the
   * loop early stops the generation, unless another loop still reads.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<DeepPartial<T>, undefined> {
    this.readers++;
    let whole = false;
    try {
      yield* this.latest.read();
      whole = true;
    } finally {
      if (--this.readers === 0 && !whole) this.cancel().catch(() => undefined);
    }
    return undefined;
  }

  toReadableStream(): IterableStream<DeepPartial<T>> {
    return readableFrom(
      () => this[Symbol.asyncIterator](),
      (partial) => partial,
    );
  }

  /** Stops; `object` then rejects with code "cancelled". */
  async cancel(): Promise<void> {
    this.stopped = true;
    await this.stream?.cancel();
  }

  private async run(): Promise<ObjectResult<T>> {
    const asked = firstMessages(this.request, this.schema.json);
    const most = 1 + Math.max(0, this.request.retries ?? 2);
    for (let messages = asked; ;) {
      const attempt = await this.ask(messages);
      const { completion } = attempt;
      if (attempt.ok)
        return {
          object: attempt.value as T,
          text: completion.text,
          attempts: this.attempts,
          completion,
        };
      if (this.attempts >= most) throw failure(attempt.issues, completion, this.attempts);
      // Only the last wrong answer is shown, or the prompt would grow with every try.
      messages = [...asked, ...correction(attempt.issues, completion.text)];
    }
  }

  private async ask(messages: Message[]): Promise<Attempt> {
    this.attempts++;
    const stream = chat(chatRequest(this.request, messages, this.schema.json), this.options);
    this.stream = stream;
    if (this.stopped) await stream.cancel();
    const json = new PartialJson(this.schema.root);
    for await (const event of stream) {
      if (event.event !== 'text') continue;
      const before = json.state;
      json.feed(event.data.text);
      if (json.state === 'seeking' || before === 'complete') continue;
      const partial = this.schema.unwrap(json.snapshot());
      if (partial !== undefined) this.latest.set(partial as DeepPartial<T>);
    }
    const completion = await stream.result;
    if (completion.finish === 'cancelled')
      throw new IngleError('cancelled', 'stopped before the object was complete');
    return this.judge(completion);
  }

  /* The first value in the text that matches; the issues of the first one, if none does. */
  private async judge(completion: Completion): Promise<Attempt> {
    let first: Issue[] | undefined;
    for (const value of jsonValues(completion.text, this.schema.root)) {
      const checked = await this.schema.validate(this.schema.unwrap(value));
      if ('value' in checked) return { ok: true, value: checked.value, completion };
      first ??= checked.issues;
    }
    const cut = completion.finish === 'length';
    const message = cut ? 'was cut off before it was complete' : 'is not in the answer';
    return { ok: false, issues: first ?? [{ message, path: [] }], completion };
  }
}

/** Asks for an object and shows it while it grows. */
export function streamObject<S extends Schema>(
  request: ObjectRequest<S>,
  options: ObjectOptions = {},
): ObjectStream<Infer<S>> {
  return new ObjectStream<Infer<S>>(request, options);
}

/** Asks for an object that matches a schema. Rejects with `bad_output` if none comes. */
export async function generateObject<S extends Schema>(
  request: ObjectRequest<S>,
  options: ObjectOptions = {},
): Promise<ObjectResult<Infer<S>>> {
  return await streamObject(request, options).result;
}

function chatRequest(
  request: ObjectRequest<Schema>,
  messages: Message[],
  json: JsonSchema,
): ChatRequest {
  const {
    schema: _s,
    jsonSchema: _j,
    name,
    prompt: _p,
    system: _y,
    retries: _r,
    ...rest
  } = request;
  return {
    ...rest,
    messages,
    responseFormat: {
      type: 'json_schema',
      json_schema: { name: name ?? 'answer', schema: json, strict: true },
    },
  };
}

/** What a model is told about the form of its answer. */
export function schemaInstruction(json: JsonSchema): string {
  return (
    'Answer with one JSON value and nothing else: no prose, no code fence. ' +
    `It must match this JSON Schema:\n${JSON.stringify(json)}`
  );
}

/** The messages with an instruction in the system message, which is made if there is none. */
export function withInstruction(messages: Message[], instruction: string): Message[] {
  const [first, ...rest] = messages;
  if (first?.role === 'system' || first?.role === 'developer')
    return [{ ...first, content: `${first.content ?? ''}\n\n${instruction}` }, ...rest];
  return [{ role: 'system', content: instruction }, ...messages];
}

function firstMessages(request: ObjectRequest<Schema>, json: JsonSchema): Message[] {
  const messages: Message[] = [];
  if (request.system !== undefined) messages.push({ role: 'system', content: request.system });
  messages.push(...(request.messages ?? []));
  if (request.prompt !== undefined) messages.push({ role: 'user', content: request.prompt });
  if (!messages.some((message) => message.role === 'user'))
    throw new IngleError('bad_argument', 'nothing is asked', 'give `prompt` or `messages`');
  return withInstruction(messages, schemaInstruction(json));
}

function correction(issues: Issue[], text: string): Message[] {
  return [
    { role: 'assistant', content: text },
    {
      role: 'user',
      content: `This does not match the schema:\n${issueText(issues)}\nAnswer again with the corrected JSON only.`,
    },
  ];
}

function failure(issues: Issue[], completion: Completion, attempts: number): IngleError {
  const details = { issues, text: completion.text, attempts };
  if (completion.finish === 'length')
    return new IngleError(
      'limit',
      'the answer was cut off before the object was complete',
      'raise maxTokens, or ask for less',
      details,
    );
  return new IngleError(
    'bad_output',
    `no answer matched the schema in ${attempts} ${attempts === 1 ? 'try' : 'tries'}: ${issueText(issues)}`,
    'simplify the schema, describe its fields, or use a larger model',
    details,
  );
}
