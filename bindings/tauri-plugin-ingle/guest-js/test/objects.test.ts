import * as v from 'valibot';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import {
  generateObject,
  jsonSchema,
  Model,
  streamObject,
  type DeepPartial,
  type Message,
} from '../src/index.js';
import { collect, StreamCore, type RustStream } from './mock.js';

const person = z.object({ name: z.string(), age: z.number().int(), tags: z.array(z.string()) });
const whole = '{"name": "Ada", "age": 36, "tags": ["maths", "engines"]}';

const later = (run: (rust: RustStream) => void) => (rust: RustStream) => {
  setTimeout(() => {
    run(rust);
  });
};

interface Sent {
  messages: Message[];
  responseFormat: { json_schema: { name: string; schema: Record<string, unknown> } };
  [key: string]: unknown;
}
const sent = (core: StreamCore, n = 0): Sent => core.called('chat')[n]!['request'] as Sent;

describe('streamObject', () => {
  it('shows the object as it grows, typed', async () => {
    const core = new StreamCore();
    core.onStart = later((rust) => {
      rust.started();
      for (const piece of whole.match(/.{1,3}/g)!) rust.text(piece);
      rust.done();
    });
    const stream = streamObject({ schema: person, prompt: 'Who?', maxTokens: 50 });
    const partials: DeepPartial<z.infer<typeof person>>[] = [];
    for await (const partial of stream) {
      expectTypeOf(partial.tags).toEqualTypeOf<string[] | undefined>();
      expectTypeOf(partial.name).toEqualTypeOf<string | undefined>();
      partials.push(partial);
    }
    expect(partials.at(-1)).toEqual({ name: 'Ada', age: 36, tags: ['maths', 'engines'] });
    const object = await stream.object;
    expectTypeOf(object).toEqualTypeOf<{ name: string; age: number; tags: string[] }>();
    expect(object).toEqual(JSON.parse(whole));
    expect(stream.attempt).toBe(1);
    const request = sent(core);
    expect(request['maxTokens']).toBe(50);
    for (const key of ['schema', 'prompt', 'retries', 'system'])
      expect(request).not.toHaveProperty(key);
    expect(request.responseFormat.json_schema.schema).toMatchObject({
      required: ['name', 'age', 'tags'],
    });
    expect(request.messages[0]).toMatchObject({ role: 'system' });
    expect(request.messages[0]!.content).toContain('"age"');
    expect(request.messages[1]).toEqual({ role: 'user', content: 'Who?' });
  });

  it('shows each step to a reader that keeps up', async () => {
    const core = new StreamCore();
    const stream = streamObject({ schema: person, prompt: 'Who?' });
    const rust = await core.stream();
    const reader = stream[Symbol.asyncIterator]();
    rust.started().text('Here: {"na');
    expect((await reader.next()).value).toEqual({});
    rust.text('me": "A');
    expect((await reader.next()).value).toEqual({ name: 'A' });
    rust.text('da", "age": 3');
    expect((await reader.next()).value).toEqual({ name: 'Ada', age: 3 });
    rust.text('6, "tags": []}').done();
    expect((await reader.next()).value).toEqual({ name: 'Ada', age: 36, tags: [] });
    expect((await reader.next()).done).toBe(true);
    expect(stream.partial).toEqual({ name: 'Ada', age: 36, tags: [] });
  });

  it('leaving the loop stops the generation', async () => {
    const core = new StreamCore();
    core.onStart = later((rust) => rust.started().text('{"name": "A'));
    const stream = streamObject({ schema: person, prompt: 'Who?' });
    for await (const partial of stream) {
      expect(partial).toEqual({ name: 'A' });
      break;
    }
    await expect(stream.object).rejects.toMatchObject({ code: 'cancelled' });
    expect(core.called('cancel')).toEqual([{ stream: 's1' }]);
  });

  it('can be aborted and read as a ReadableStream', async () => {
    const core = new StreamCore();
    core.onStart = later((rust) => rust.started().text('{"name": "A'));
    const control = new AbortController();
    const stream = streamObject({ schema: person, prompt: 'Who?' }, { signal: control.signal });
    const reader = stream.toReadableStream().getReader();
    expect((await reader.read()).value).toEqual({ name: 'A' });
    control.abort();
    await expect(reader.read()).rejects.toMatchObject({ code: 'cancelled' });
    await expect(stream.result).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('generateObject', () => {
  it('asks again with what was wrong, and gives the first answer that matches', async () => {
    const core = new StreamCore();
    const answers = ['I would rather not.', '{"name": "Ada", "age": "old", "tags": []}', whole];
    core.onStart = (rust) => rust.text(answers[core.streams.length - 1]!).done();
    const result = await generateObject({ schema: person, prompt: 'Who?', system: 'Be exact.' });
    expect(result.object.age).toBe(36);
    expect(result.attempts).toBe(3);
    expect(result.text).toBe(whole);
    expect(result.completion.finish).toBe('stop');
    const third = sent(core, 2).messages;
    expect(third.map((one) => one.role)).toEqual(['system', 'user', 'assistant', 'user']);
    expect(third[0]!.content).toMatch(/^Be exact\./);
    expect(third[2]!.content).toBe(answers[1]);
    expect(third[3]!.content).toMatch(/^This does not match the schema:\nage: /);
  });

  it('gives up after the tries it was allowed, and tells why', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text('{"name": "Ada"}').done();
    const asked = generateObject({ schema: person, prompt: 'Who?', retries: 1 });
    await expect(asked).rejects.toMatchObject({
      name: 'IngleError',
      code: 'bad_output',
      details: { text: '{"name": "Ada"}', attempts: 2 },
    });
    await expect(asked).rejects.toThrow(/no answer matched the schema in 2 tries: age: /);
    expect(core.streams).toHaveLength(2);
  });

  it('says when the answer was cut off', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text('{"name": "Ad').done('length');
    await expect(
      generateObject({ schema: person, prompt: 'Who?', retries: 0 }),
    ).rejects.toMatchObject({
      code: 'limit',
      hint: expect.stringContaining('maxTokens') as string,
    });
  });

  it('takes the value that matches, not the first pair of braces', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text(`An empty one is {}, yours is ${whole}.`).done();
    const { object, attempts } = await generateObject({ schema: person, prompt: 'Who?' });
    expect([object.name, attempts]).toEqual(['Ada', 1]);
  });

  it('tells what is wrong in the first value, if none matches', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text('{"name": 5, "age": 1, "tags": []} or {}').done();
    await expect(
      generateObject({ schema: person, prompt: 'Who?', retries: 0 }),
    ).rejects.toMatchObject({ details: { issues: [{ path: ['name'] }] } });
  });

  it('passes errors of the engine on at once', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.error('no_memory');
    await expect(generateObject({ schema: person, prompt: 'Who?' })).rejects.toMatchObject({
      code: 'no_memory',
    });
    expect(core.streams).toHaveLength(1);
  });

  it('takes a bare JSON Schema, checked here', async () => {
    const core = new StreamCore();
    core.onStart = (rust) =>
      rust.text(core.streams.length === 1 ? '{"n": "1"}' : '{"n": 1}').done();
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    const { object, attempts } = await generateObject({ schema, prompt: 'n?' });
    expectTypeOf(object).toEqualTypeOf<unknown>();
    expect([object, attempts]).toEqual([{ n: 1 }, 2]);
    const typed = await generateObject({ schema: jsonSchema<{ n: number }>(schema), prompt: 'n?' });
    expectTypeOf(typed.object).toEqualTypeOf<{ n: number }>();
    expect(typed.object.n).toBe(1);
  });

  it('boxes what is no object, and opens the box', async () => {
    const core = new StreamCore();
    core.onStart = later((rust) => rust.text('{"value": "re').text('d"}').done());
    const schema = z.enum(['red', 'blue']);
    const stream = streamObject({ schema, prompt: 'Colour?' });
    const partials = await collect(stream);
    expect(partials).toContain('re');
    expect(await stream.object).toBe('red');
    expect(sent(core).responseFormat.json_schema.schema).toMatchObject({
      type: 'object',
      required: ['value'],
      properties: { value: { enum: ['red', 'blue'] } },
    });
  });

  it('takes arrays as they are', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text('1: ["a", "b"]').done();
    const { object } = await generateObject({ schema: z.array(z.string()), prompt: 'List' });
    expect(object).toEqual(['a', 'b']);
  });

  it('applies transforms of the schema', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text('{"day": "2026-11-27"}').done();
    const schema = z.object({ day: z.string().transform((text) => new Date(text)) });
    const { object } = await generateObject({ schema, prompt: 'When?' });
    expectTypeOf(object.day).toEqualTypeOf<Date>();
    expect(object.day.getUTCFullYear()).toBe(2026);
  });

  it('takes schemas of other libraries with their JSON Schema beside them', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text('{"n": 4}').done();
    const schema = v.object({ n: v.number() });
    await expect(generateObject({ schema, prompt: 'n?' })).rejects.toMatchObject({
      code: 'bad_argument',
      hint: expect.stringContaining('jsonSchema') as string,
    });
    const json = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };
    const { object } = await generateObject({ schema, jsonSchema: json, prompt: 'n?' });
    expectTypeOf(object).toEqualTypeOf<{ n: number }>();
    expect(object.n).toBe(4);
    expect(sent(core).responseFormat.json_schema.schema).toEqual(json);
  });

  it('wants a question', async () => {
    new StreamCore();
    await expect(generateObject({ schema: person })).rejects.toMatchObject({
      code: 'bad_argument',
    });
  });

  it('is a method of a model too', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text(whole).done();
    const loaded = {
      id: 'm1',
      name: 'M',
      path: '/m',
      info: {} as never,
      device: 'cpu',
      loadSeconds: 0,
    };
    const { object } = await new Model(loaded).generateObject({ schema: person, prompt: 'Who?' });
    expectTypeOf(object.tags).toEqualTypeOf<string[]>();
    expect(sent(core)['model']).toBe('m1');
  });
});
