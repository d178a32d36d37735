import { describe, expect, it, vi } from 'vitest';
import { attach, chat, generate, IngleError, listStreams, resumeStreams } from '../src/index.js';
import { collect, hello, RustChannel, RustStream, StreamCore, timings, usage } from './mock.js';

const texts = (events: { event: string; data: object }[]): string =>
  events.map((one) => ('text' in one.data ? String(one.data.text) : '')).join('');

describe('a stream', () => {
  it('sends the request without undefined fields and gives events in order', async () => {
    const core = new StreamCore();
    const stream = chat({ ...hello, model: 'tiny', maxTokens: 5, topK: undefined as never });
    const reading = collect(stream);
    const rust = await core.stream();
    rust.started().text('Hel').text('lo').done();
    const events = await reading;
    expect(events.map((one) => one.event)).toEqual(['started', 'text', 'text', 'done']);
    expect(events.map((one) => one.data.seq)).toEqual([1, 2, 3, 4]);
    expect(core.called('chat')[0]!['request']).toEqual({ ...hello, model: 'tiny', maxTokens: 5 });
    expect(stream.running).toBe(false);
    expect(stream.lastSeq).toBe(4);
    expect(core.called('cancel')).toHaveLength(0);
  });

  it('ends with the last message, however early the promise resolves', async () => {
    const core = new StreamCore();
    const stream = generate('Once');
    expect(await stream.id).toBe('s1');
    expect(stream.running).toBe(true);
    const rust = await core.stream();
    rust.started().text('a');
    await Promise.resolve();
    rust.text('b').done('length');
    expect(await stream.result).toEqual({
      text: 'ab',
      reasoning: '',
      toolCalls: [],
      finish: 'length',
      usage,
      timings,
      stream: 's1',
      model: 'tiny',
    });
    expect(core.called('generate')[0]!['request']).toEqual({ prompt: 'Once' });
  });

  it('ends with messages that come before the promise resolves', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.started().text('quick').done();
    const stream = chat(hello);
    expect(await stream.text()).toBe('quick');
    expect(await stream.id).toBe('s1');
  });

  it('keeps text and reasoning apart and puts tool calls together', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => {
      rust.started().reasoning('hm').reasoning('m').text('yes');
      rust.emit('toolCall', { index: 0, id: 'c1', name: 'look', arguments: '{"a"' });
      rust.emit('toolCall', { index: 1, id: 'c2', name: 'hear', arguments: '{}' });
      rust.emit('toolCall', { index: 0, arguments: ':1}' });
      rust.done('toolCalls');
    };
    const result = await chat(hello).result;
    expect(result.text).toBe('yes');
    expect(result.reasoning).toBe('hmm');
    expect(result.toolCalls).toEqual([
      { index: 0, id: 'c1', name: 'look', arguments: '{"a":1}' },
      { index: 1, id: 'c2', name: 'hear', arguments: '{}' },
    ]);
  });

  it('puts messages in order that the transport mixed up', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    const rust = await core.stream();
    const internals = (
      window as unknown as {
        __TAURI_INTERNALS__: { runCallback: (id: number, data: unknown) => void };
      }
    ).__TAURI_INTERNALS__;
    const { id } = core.called('chat')[0]!['onEvent'] as { id: number };
    const message = (seq: number, event: string, data: object): unknown => ({
      index: seq - 1,
      message: { event, data: { seq, ...data } },
    });
    internals.runCallback(id, message(2, 'text', { text: 'b', tokens: 1 }));
    internals.runCallback(id, message(1, 'text', { text: 'a', tokens: 1 }));
    internals.runCallback(id, message(3, 'done', { finish: 'stop', usage, timings }));
    expect(await stream.text()).toBe('ab');
    expect(rust.id).toBe('s1');
  });

  it('passes 20,000 messages in order and joins what a slow reader has waiting', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    const slow = stream[Symbol.asyncIterator]();
    const rust = await core.stream();
    rust.started();
    for (let i = 0; i < 20_000; i++) rust.text(`${i} `);
    rust.done();
    const events = await collect({ [Symbol.asyncIterator]: () => slow });
    expect(events.length).toBeLessThan(300);
    const numbers = texts(events).trim().split(' ').map(Number);
    expect(numbers).toHaveLength(20_000);
    expect(numbers.every((n, i) => n === i)).toBe(true);
    let tokens = 0;
    for (const one of events) if (one.event === 'text') tokens += one.data.tokens;
    expect(tokens).toBe(20_000);
  });
});

describe('several readers', () => {
  it('each get everything, also one that comes after the end', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    const first = collect(stream);
    const words = collect(stream.textStream);
    const rust = await core.stream();
    rust.started().emit('progress', { done: 1, total: 3 }).emit('progress', { done: 3, total: 3 });
    rust.text('a').text('b').done();
    expect((await first).length).toBe(6);
    expect(await words).toEqual(['a', 'b']);
    const late = await collect(stream);
    expect(late.map((one) => [one.event, one.data.seq])).toEqual([
      ['started', 1],
      ['progress', 3],
      ['text', 5],
      ['done', 6],
    ]);
    expect(texts(late)).toBe('ab');
    expect(await stream.text()).toBe('ab');
  });

  it('cancel only when the last of them leaves', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    const one = stream[Symbol.asyncIterator]();
    const two = stream[Symbol.asyncIterator]();
    const rust = await core.stream();
    rust.started().text('a');
    await one.next();
    await one.return!();
    await Promise.resolve();
    expect(core.called('cancel')).toHaveLength(0);
    await two.return!();
    await stream.result;
    expect(core.called('cancel')).toEqual([{ stream: 's1' }]);
  });

  it('with collect: false keep nothing, and say so', async () => {
    const core = new StreamCore();
    const stream = chat(hello, { collect: false });
    const reader = stream[Symbol.asyncIterator]();
    const rust = await core.stream();
    rust.started().text('a');
    expect((await reader.next()).value?.event).toBe('started');
    expect(() => stream[Symbol.asyncIterator]()).toThrow(/keeps no history/);
    await expect(stream.text()).rejects.toMatchObject({ code: 'bad_argument' });
    rust.done();
    expect((await stream.result).text).toBe('');
    expect((await stream.result).usage.outputTokens).toBe(2);
  });
});

describe('stopping', () => {
  it('by leaving the loop', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.started().text('a').text('b');
    const stream = chat(hello);
    for await (const event of stream) if (event.event === 'text') break;
    expect((await stream.result).finish).toBe('cancelled');
    expect(core.called('cancel')).toEqual([{ stream: 's1' }]);
  });

  it('by an AbortSignal: the loop ends, nothing is thrown', async () => {
    const core = new StreamCore();
    const control = new AbortController();
    const stream = chat(hello, { signal: control.signal });
    const all = collect(stream);
    const rust = await core.stream();
    rust.started().text('half');
    control.abort();
    control.abort();
    const events = await all;
    expect(events.at(-1)).toMatchObject({ event: 'done', data: { finish: 'cancelled' } });
    expect((await stream.result).text).toBe('half');
    expect(core.called('cancel')).toHaveLength(1);
  });

  it('before it began: Rust is not called', async () => {
    const core = new StreamCore();
    const stream = chat(hello, { signal: AbortSignal.abort() });
    expect((await collect(stream)).map((one) => one.event)).toEqual(['done']);
    expect((await stream.result).finish).toBe('cancelled');
    await expect(stream.id).rejects.toMatchObject({ code: 'cancelled' });
    expect(core.calls).toHaveLength(0);
  });

  it('before the id is known waits for it', async () => {
    const core = new StreamCore();
    let answer!: (value: unknown) => void;
    core.on('chat', () => new Promise((resolve) => (answer = resolve)));
    const stream = chat(hello);
    const cancelled = stream.cancel();
    await Promise.resolve();
    expect(core.called('cancel')).toHaveLength(0);
    answer({ stream: 'late' });
    await cancelled;
    expect(core.called('cancel')).toEqual([{ stream: 'late' }]);
  });

  it('ends from this side when Rust stays silent', async () => {
    vi.useFakeTimers();
    try {
      const core = new StreamCore();
      core.on('chat', () => new Promise(() => undefined));
      const stream = chat(hello);
      stream.cancel().catch(() => undefined);
      await vi.advanceTimersByTimeAsync(4900);
      expect(stream.running).toBe(true);
      await vi.advanceTimersByTimeAsync(200);
      expect((await stream.result).finish).toBe('cancelled');
    } finally {
      vi.useRealTimers();
    }
  });

  it('by cancelling a ReadableStream', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    const reader = stream.toReadableStream().getReader();
    const rust = await core.stream();
    rust.started();
    expect((await reader.read()).value?.event).toBe('started');
    await reader.cancel();
    expect((await stream.result).finish).toBe('cancelled');
  });

  it('by disposal', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    await core.stream();
    await stream[Symbol.asyncDispose]();
    expect((await stream.result).finish).toBe('cancelled');
    await stream.cancel();
    expect(core.called('cancel')).toHaveLength(1);
  });

  it('not by detaching', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    const rust = await core.stream();
    rust.started().text('a');
    stream.detach();
    rust.text('b');
    await expect(stream.result).rejects.toMatchObject({ code: 'cancelled' });
    expect(stream.current.text).toBe('a');
    expect(core.called('cancel')).toHaveLength(0);
  });
});

describe('errors', () => {
  it('in the stream are thrown in the loop after what came before', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.started().text('a').error('device', 'GPU lost', 'use the CPU');
    const stream = chat(hello);
    const seen: string[] = [];
    const loop = (async () => {
      for await (const event of stream) seen.push(event.event);
    })();
    await expect(loop).rejects.toMatchObject({
      name: 'IngleError',
      code: 'device',
      message: 'GPU lost',
      hint: 'use the CPU',
    });
    expect(seen).toEqual(['started', 'text']);
    await expect(stream.text()).rejects.toBeInstanceOf(IngleError);
    await expect(collect(stream.textStream)).rejects.toMatchObject({ code: 'device' });
  });

  it('of the command reject id, result and the loop', async () => {
    const core = new StreamCore();
    core.on('chat', () => Promise.reject({ code: 'not_loaded', message: 'none', hint: 'load' }));
    const stream = chat(hello);
    await expect(collect(stream)).rejects.toMatchObject({ code: 'not_loaded' });
    await expect(stream.id).rejects.toMatchObject({ hint: 'load' });
    await expect(stream.result).rejects.toMatchObject({ message: 'none' });
  });

  it('outside Tauri', async () => {
    await expect(chat(hello).result).rejects.toMatchObject({ code: 'unsupported' });
  });
});

describe('a channel that Rust lets go of', () => {
  it('after the last message is no news', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => {
      rust.started().text('a').done();
      rust.channel!.end();
    };
    expect(await chat(hello).text()).toBe('a');
  });

  it('before the last message is an error, not a wait for ever', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    const rust = await core.stream();
    rust.started().text('a');
    rust.channel!.end();
    await expect(collect(stream)).rejects.toThrow(/attached to from elsewhere/);
    expect(stream.current.text).toBe('a');
  });
});

describe('a refusal', () => {
  it('is told as it is, though the channel closes before it', async () => {
    const core = new StreamCore();
    core.on('attach', async ({ onEvent }) => {
      new RustChannel(onEvent).end();
      await new Promise((resolve) => setTimeout(resolve, 5));
      throw { code: 'not_found', message: 'no such stream', hint: '' } as unknown as Error;
    });
    await expect(attach('s1').result).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('gaps', () => {
  it('are filled by attaching again, once, with nothing lost or doubled', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    const rust = await core.stream();
    rust.started().text('a').lose('text', { text: 'b', tokens: 1 }).text('c');
    await vi.waitFor(() => {
      expect(core.called('attach')).toHaveLength(1);
    });
    expect(core.called('attach')[0]).toMatchObject({ stream: 's1', after: 2 });
    rust.text('d').done();
    const events = await collect(stream);
    expect(texts(events)).toBe('abcd');
    expect(core.called('attach')).toHaveLength(1);
  });

  it('that attaching cannot fill are an error', async () => {
    const core = new StreamCore();
    core.on('attach', () => Promise.reject({ code: 'not_found', message: 'gone', hint: '' }));
    const stream = chat(hello);
    const rust = await core.stream();
    rust.started().lose('text', { text: 'b', tokens: 1 }).text('c');
    await expect(stream.result).rejects.toMatchObject({ code: 'not_found' });
  });

  it('doubled messages are dropped', async () => {
    const core = new StreamCore();
    const stream = chat(hello);
    const rust = await core.stream();
    rust.started().text('a');
    rust.channel!.send({ event: 'text', data: { seq: 2, text: 'a', tokens: 1 } });
    rust.text('b');
    const second = attach('s1');
    await second.id;
    rust.channel!.send({ event: 'text', data: { seq: 3, text: 'b', tokens: 1 } });
    rust.done();
    expect(await second.text()).toBe('ab');
    expect(core.called('attach')).toHaveLength(1);
    stream.detach();
    expect(stream.current.text).toBe('ab');
  });
});

describe('attaching', () => {
  it('takes up a running stream after a reload', async () => {
    const core = new StreamCore();
    const before = chat(hello);
    const rust = await core.stream();
    rust.started().text('a').text('b');
    before.detach();
    const after = attach('s1');
    await vi.waitFor(() => {
      expect(after.current.text).toBe('ab');
    });
    rust.text('c').done();
    expect(await after.text()).toBe('abc');
    expect((await after.result).model).toBe('tiny');
    expect(await after.id).toBe('s1');
  });

  it('sends only what the page does not have', async () => {
    const core = new StreamCore();
    chat(hello);
    const rust = await core.stream();
    rust.started().text('a').text('b').done();
    const stream = attach('s1', { after: 2 });
    expect(await stream.text()).toBe('b');
    expect(core.called('attach')[0]).toMatchObject({ stream: 's1', after: 2 });
  });

  it('accepts joined text, whose seq leaps, and says what is truncated', async () => {
    const core = new StreamCore();
    core.on('attach', ({ onEvent }) => {
      const rust = new RustStream('s9', onEvent);
      rust.channel!.send({ event: 'truncated', data: { seq: 40 } });
      rust.channel!.send({ event: 'text', data: { seq: 90, text: 'rest', tokens: 50 } });
      rust.channel!.send({ event: 'done', data: { seq: 91, finish: 'stop', usage, timings } });
      return { stream: 's9', running: false };
    });
    const stream = attach('s9');
    expect(await stream.text()).toBe('rest');
    expect(stream.truncated).toBe(true);
    expect(stream.lastSeq).toBe(91);
  });

  it('behind the last message ends too', async () => {
    vi.useFakeTimers();
    try {
      const core = new StreamCore();
      chat(hello);
      core.streams[0]!.started().text('a').done();
      const stream = attach('s1', { after: 3 });
      const failed = expect(stream.result).rejects.toMatchObject({ code: 'not_found' });
      await vi.advanceTimersByTimeAsync(5100);
      await failed;
    } finally {
      vi.useRealTimers();
    }
  });

  it('behind the last message ends at once where the channel tells', async () => {
    const core = new StreamCore();
    chat(hello);
    core.streams[0]!.started().done();
    const stream = attach('s1', { after: 2 });
    await stream.id;
    core.streams[0]!.channel!.end();
    await expect(stream.result).rejects.toThrow(/nothing after message 2/);
  });

  it('to a stream that is gone is an error', async () => {
    new StreamCore();
    await expect(attach('nope').result).rejects.toMatchObject({ code: 'not_found' });
  });

  it('to all that run', async () => {
    const core = new StreamCore();
    const row = { model: 'tiny', kind: 'chat', seq: 2, startedAt: 1, label: 'main' };
    core.on('list_streams', () => [
      { stream: 's1', running: true, ...row },
      { stream: 's0', running: false, ...row },
    ]);
    chat(hello);
    (await core.stream()).started().text('a');
    expect(await listStreams()).toHaveLength(2);
    const resumed = await resumeStreams();
    expect(resumed.map((one) => one.info.stream)).toEqual(['s1']);
    core.streams[0]!.done();
    expect(await resumed[0]!.stream.text()).toBe('a');
  });
});
