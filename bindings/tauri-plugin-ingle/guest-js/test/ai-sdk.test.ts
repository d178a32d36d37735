import {
  embed,
  embedMany,
  generateObject,
  generateText,
  Output,
  streamObject,
  streamText,
  tool,
} from 'ai';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { createIngle, ingle } from '../src/ai-sdk.js';
import { collect, StreamCore } from './mock.js';

const request = (core: StreamCore, n = 0): Record<string, unknown> =>
  core.called('chat')[n]!['request'] as Record<string, unknown>;

describe('the AI SDK provider', () => {
  it('implements the current specification', () => {
    const model = ingle('tiny');
    expect(model).toMatchObject({ specificationVersion: 'v4', provider: 'ingle', modelId: 'tiny' });
    expect(ingle.languageModel('a').modelId).toBe('a');
    expect(ingle.embeddingModel('e')).toMatchObject({ specificationVersion: 'v4', modelId: 'e' });
    expect(() => ingle.imageModel('i')).toThrow(/no image models/);
  });

  it('generateText', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.started().reasoning('hmm', 1).text('Hel').text('lo').done();
    const result = await generateText({
      model: createIngle({ temperature: 0.1, options: { 'min-p': 0.1 } })('tiny', { topK: 3 }),
      system: 'Be brief.',
      prompt: 'Hi',
      maxOutputTokens: 7,
      seed: 4,
      stopSequences: ['END'],
      presencePenalty: 0.5,
      providerOptions: { ingle: { 'repeat-penalty': 1.1 } },
    });
    expect(result.text).toBe('Hello');
    expect(result.reasoningText).toBe('hmm');
    expect(result.finishReason).toBe('stop');
    expect(result.usage).toMatchObject({ inputTokens: 3, outputTokens: 2 });
    expect(result.usage.inputTokenDetails).toMatchObject({ cacheReadTokens: 1, noCacheTokens: 2 });
    expect(result.providerMetadata).toMatchObject({ ingle: { tokensPerSecond: 10 } });
    expect(request(core)).toEqual({
      model: 'tiny',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ],
      maxTokens: 7,
      temperature: 0.1,
      topK: 3,
      seed: 4,
      stop: ['END'],
      options: { 'min-p': 0.1, 'presence-penalty': 0.5, 'repeat-penalty': 1.1 },
    });
  });

  it('streamText, with reasoning and text as blocks', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => {
      setTimeout(() => {
        rust.started().reasoning('a').reasoning('b').text('x').text('y').done('length');
      });
    };
    const result = streamText({ model: ingle('tiny'), prompt: 'Hi' });
    const parts = await collect(result.fullStream);
    const kinds = parts.map((part) => part.type);
    expect(kinds.filter((kind) => /^(text|reasoning)/.test(kind))).toEqual([
      'reasoning-start',
      'reasoning-delta',
      'reasoning-delta',
      'reasoning-end',
      'text-start',
      'text-delta',
      'text-delta',
      'text-end',
    ]);
    expect(await result.text).toBe('xy');
    expect(await result.reasoningText).toBe('ab');
    expect(await result.finishReason).toBe('length');
    expect(request(core)).toEqual({ model: 'tiny', messages: [{ role: 'user', content: 'Hi' }] });
  });

  it('stops in Rust when the caller aborts', async () => {
    const core = new StreamCore();
    const control = new AbortController();
    const result = streamText({ model: ingle('tiny'), prompt: 'Hi', abortSignal: control.signal });
    const reading = collect(result.fullStream);
    const rust = await core.stream();
    rust.started().text('half');
    await new Promise((resolve) => setTimeout(resolve, 20));
    control.abort();
    const parts = await reading;
    expect(parts.map((part) => part.type)).toContain('abort');
    await vi.waitFor(() => {
      expect(core.called('cancel')).toEqual([{ stream: 's1' }]);
    });
  });

  it('a stream ends with AbortError, not with a finish', async () => {
    const core = new StreamCore();
    const control = new AbortController();
    const { stream } = await ingle('tiny').doStream({
      prompt: [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }],
      abortSignal: control.signal,
    });
    const reader = stream.getReader();
    expect((await reader.read()).value).toEqual({ type: 'stream-start', warnings: [] });
    (await core.stream()).started();
    expect((await reader.read()).value?.type).toBe('response-metadata');
    control.abort();
    await expect(reader.read()).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('generateText rejects with AbortError when aborted', async () => {
    const core = new StreamCore();
    const control = new AbortController();
    const asked = generateText({ model: ingle('tiny'), prompt: 'Hi', abortSignal: control.signal });
    const failed = expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    await core.stream();
    control.abort();
    await failed;
    expect(core.called('cancel')).toHaveLength(1);
  });

  it('passes errors with their code', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.started().error('no_memory', 'full', 'close apps');
    await expect(
      generateText({ model: ingle('tiny'), prompt: 'Hi', maxRetries: 0 }),
    ).rejects.toMatchObject({ code: 'no_memory' });
    const seen = vi.fn();
    const result = streamText({
      model: ingle('tiny'),
      prompt: 'Hi',
      onError: ({ error }) => {
        seen(error);
      },
    });
    await result.consumeStream();
    expect(seen).toHaveBeenCalledWith(expect.objectContaining({ code: 'no_memory' }));
  });

  it('generateObject and streamObject, also when the model writes around the JSON', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => {
      setTimeout(() => {
        rust.started().text('Here it is:\n```json\n{"name": "A');
        rust.text('da", "age"').text(': 36}').text('\n```\nDone {ok}.').done();
      });
    };
    const schema = z.object({ name: z.string(), age: z.number() });
    const model = ingle('tiny');
    const whole = await generateObject({ model, schema, prompt: 'Who?' });
    expect(whole.object).toEqual({ name: 'Ada', age: 36 });
    const sent = request(core);
    expect(sent['responseFormat']).toMatchObject({
      type: 'json_schema',
      json_schema: { schema: { type: 'object', required: ['name', 'age'] } },
    });
    const messages = sent['messages'] as { role: string; content: string }[];
    expect(messages[0]!.role).toBe('system');
    expect(messages[0]!.content).toContain('"age"');

    const growing = streamObject({ model, schema, prompt: 'Who?' });
    const partials = await collect(growing.partialObjectStream);
    expect(partials).toContainEqual({ name: 'A' });
    expect(partials.at(-1)).toEqual({ name: 'Ada', age: 36 });
    expect(await growing.object).toEqual({ name: 'Ada', age: 36 });
  });

  it('Output.array', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text('{"elements": ["a", "b"]}').done();
    const { output } = await generateText({
      model: ingle('tiny'),
      prompt: 'List',
      output: Output.array({ element: z.string() }),
    });
    expect(output).toEqual(['a', 'b']);
  });

  it('tools: calls come out, results go back in', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => {
      if (rust.id === 's1') {
        rust.started().emit('toolCall', { index: 0, id: 'c1', name: 'add', arguments: '{"a":1,' });
        rust.emit('toolCall', { index: 0, arguments: '"b":2}' }).done('toolCalls');
      } else rust.started().text('3').done();
    };
    const result = streamText({
      model: ingle('tiny'),
      prompt: 'What is 1 + 2?',
      tools: {
        add: tool({
          description: 'adds',
          inputSchema: z.object({ a: z.number(), b: z.number() }),
          execute: ({ a, b }) => a + b,
        }),
      },
      stopWhen: ({ steps }) => steps.length >= 3,
    });
    expect(await result.text).toBe('3');
    expect(request(core)['tools']).toMatchObject([
      { type: 'function', function: { name: 'add', description: 'adds' } },
    ]);
    expect(request(core)['toolChoice']).toBe('auto');
    expect(request(core, 1)['messages']).toEqual([
      { role: 'user', content: 'What is 1 + 2?' },
      {
        role: 'assistant',
        content: '',
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'add', arguments: '{"a":1,"b":2}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', name: 'add', content: '3' },
    ]);
  });

  it('reads text files and refuses pictures', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text('ok').done();
    const file = (mediaType: string, data: Uint8Array): object => ({
      type: 'file',
      mediaType,
      data,
    });
    const ask = (part: object): Promise<unknown> =>
      generateText({
        model: ingle('tiny'),
        maxRetries: 0,
        messages: [{ role: 'user', content: [{ type: 'text', text: 'Read: ' }, part as never] }],
      });
    await ask(file('text/plain', new TextEncoder().encode('grüße')));
    expect(request(core)['messages']).toEqual([{ role: 'user', content: 'Read: grüße' }]);
    await expect(ask(file('image/png', Uint8Array.of(1)))).rejects.toMatchObject({
      code: 'unsupported',
    });
  });

  it('embeds', async () => {
    const core = new StreamCore();
    core.on('embed', ({ request: asked }) => {
      const { input } = asked as { input: string[] };
      const raw = new ArrayBuffer(8 + input.length * 8);
      const view = new DataView(raw);
      view.setUint32(0, input.length, true);
      view.setUint32(4, 2, true);
      input.forEach((text, i) => {
        view.setFloat32(8 + i * 8, text.length, true);
        view.setFloat32(12 + i * 8, 0.5, true);
      });
      return raw;
    });
    const model = ingle.embeddingModel('tiny', { pooling: 'last' });
    expect((await embed({ model, value: 'abc' })).embedding).toEqual([3, 0.5]);
    const { embeddings } = await embedMany({ model, values: ['a', 'bb'] });
    expect(embeddings).toEqual([
      [1, 0.5],
      [2, 0.5],
    ]);
    expect(core.called('embed')[1]!['request']).toEqual({
      model: 'tiny',
      pooling: 'last',
      input: ['a', 'bb'],
    });
  });
});
