import { act, cleanup, renderHook, waitFor } from '@testing-library/react';
import { StrictMode, type ReactNode } from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { useChat, useDownload, useModel, type UseModel } from '../src/react.js';
import { MockCore, RustChannel, RustStream, StreamCore } from './mock.js';

afterEach(cleanup);

const strict = ({ children }: { children: ReactNode }): ReactNode => (
  <StrictMode>{children}</StrictMode>
);
const contents = (messages: { role: string; content: string }[]): string[] =>
  messages.map((one) => `${one.role}: ${one.content}`);
const frame = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 40));

describe('useChat', () => {
  it('streams an answer and tells its speed', async () => {
    const core = new StreamCore();
    const finished = vi.fn();
    const { result } = renderHook(() =>
      useChat({
        model: 'tiny',
        system: 'Be brief.',
        request: { maxTokens: 9 },
        onFinish: finished,
      }),
    );
    let sent!: Promise<void>;
    act(() => {
      sent = result.current.send('Hi');
    });
    const rust = await core.stream();
    await waitFor(() => {
      expect(result.current.status).toBe('submitted');
    });
    expect(result.current.busy).toBe(true);
    await act(async () => {
      rust.started().emit('progress', { done: 2, total: 8 });
      await frame();
    });
    expect(result.current.promptProgress).toEqual({ done: 2, total: 8 });
    await act(async () => {
      rust.reasoning('mm').text('Hel', 1).text('lo', 4);
      await frame();
    });
    expect(result.current.status).toBe('streaming');
    expect(result.current.promptProgress).toBeNull();
    expect(contents(result.current.messages)).toEqual(['user: Hi', 'assistant: Hello']);
    expect(result.current.reasoning).toBe('mm');
    expect(result.current.tokensPerSecond).toBeGreaterThan(0);
    await act(async () => {
      rust.done();
      await sent;
    });
    expect(result.current.status).toBe('idle');
    expect(result.current.tokensPerSecond).toBe(10);
    expect(result.current.messages[1]).toMatchObject({ finish: 'stop', reasoning: 'mm' });
    expect(finished).toHaveBeenCalledWith(result.current.messages[1]);
    expect(core.called('chat')[0]!['request']).toEqual({
      model: 'tiny',
      maxTokens: 9,
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ],
    });
  });

  it('renders once a frame, however many messages come', async () => {
    const core = new StreamCore();
    let renders = 0;
    const { result } = renderHook(() => {
      renders++;
      return useChat();
    });
    act(() => void result.current.send('Hi'));
    const rust = await core.stream();
    await act(async () => {
      await frame();
    });
    const before = renders;
    await act(async () => {
      rust.started();
      for (let i = 0; i < 2000; i++) rust.text('x');
      await frame();
    });
    expect(result.current.messages[1]!.content).toHaveLength(2000);
    expect(renders - before).toBeLessThan(8);
  });

  it('stops and keeps what there is', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.started().text('half an');
    const { result } = renderHook(() => useChat());
    act(() => void result.current.send('Hi'));
    await core.stream();
    await act(() => result.current.stop());
    expect(result.current.messages[1]).toMatchObject({ content: 'half an', finish: 'cancelled' });
    expect(result.current.status).toBe('idle');
    expect(core.called('cancel')).toEqual([{ stream: 's1' }]);
  });

  it('regenerates and edits', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.started().text(`answer ${rust.id}`).done();
    const { result } = renderHook(() => useChat());
    await act(() => result.current.send('one'));
    await act(() => result.current.send('two'));
    expect(contents(result.current.messages)).toEqual([
      'user: one',
      'assistant: answer s1',
      'user: two',
      'assistant: answer s2',
    ]);
    await act(() => result.current.regenerate());
    expect(contents(result.current.messages).slice(2)).toEqual([
      'user: two',
      'assistant: answer s3',
    ]);
    await act(() => result.current.edit(result.current.messages[0]!.id, 'uno'));
    expect(contents(result.current.messages)).toEqual(['user: uno', 'assistant: answer s4']);
    expect(core.called('chat')[3]!['request']).toEqual({
      messages: [{ role: 'user', content: 'uno' }],
    });
    await act(() => result.current.regenerate(result.current.messages[0]!.id));
    expect(contents(result.current.messages)).toEqual(['user: uno', 'assistant: answer s5']);
    await expect(result.current.edit('nobody', 'x')).rejects.toMatchObject({ code: 'not_found' });
    await act(() => result.current.clear());
    expect(result.current.messages).toEqual([]);
  });

  it('sending while an answer runs stops that answer first', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.started().text(rust.id);
    const { result } = renderHook(() => useChat());
    act(() => void result.current.send('one'));
    await core.stream();
    act(() => void result.current.send('two'));
    const second = await core.stream(1);
    await act(async () => {
      second.done();
      await frame();
    });
    expect(contents(result.current.messages)).toEqual([
      'user: one',
      'assistant: s1',
      'user: two',
      'assistant: s2',
    ]);
    expect(result.current.messages.map((one) => one.finish)).toEqual([
      undefined,
      'cancelled',
      undefined,
      'stop',
    ]);
  });

  it('shows an error and can be asked again', async () => {
    const core = new StreamCore();
    const failed = vi.fn();
    core.onStart = (rust) =>
      rust.id === 's1'
        ? rust.started().text('ha').error('no_memory', 'full', 'close apps')
        : rust.text('ok').done();
    const { result } = renderHook(() => useChat({ onError: failed }));
    await act(() => result.current.send('Hi'));
    expect(result.current.status).toBe('error');
    expect(result.current.error).toMatchObject({ code: 'no_memory', hint: 'close apps' });
    expect(result.current.messages[1]).toMatchObject({
      content: 'ha',
      finish: 'error',
      error: { code: 'no_memory', message: 'full', hint: 'close apps' },
    });
    expect(failed).toHaveBeenCalledOnce();
    await act(() => result.current.regenerate());
    expect(result.current.error).toBeNull();
    expect(contents(result.current.messages)).toEqual(['user: Hi', 'assistant: ok']);
  });

  it('survives a reload in the middle of an answer', async () => {
    const core = new StreamCore();
    const before = renderHook(() => useChat({ id: 'main' }), { wrapper: strict });
    act(() => void before.result.current.send('Hi'));
    const rust = await core.stream();
    await act(async () => {
      rust.started().text('one ').text('two ');
      await frame();
    });
    before.unmount();
    rust.text('three ');
    const after = renderHook(() => useChat({ id: 'main' }), { wrapper: strict });
    await waitFor(() => {
      expect(after.result.current.messages[1]?.content).toBe('one two three ');
    });
    expect(core.called('cancel')).toHaveLength(0);
    expect(core.called('attach').at(-1)).toMatchObject({ stream: 's1', after: 0 });
    await act(async () => {
      rust.text('four').done();
      await frame();
    });
    expect(contents(after.result.current.messages)).toEqual([
      'user: Hi',
      'assistant: one two three four',
    ]);
    expect(after.result.current.status).toBe('idle');
    expect(JSON.parse(sessionStorage.getItem('ingle-chat:main')!)).not.toHaveProperty('stream');
  });

  it('finds its answer again when it left before the id was known', async () => {
    const core = new StreamCore();
    let answer!: () => void;
    core.on('chat', ({ onEvent }) => {
      const rust = new RustStream('s1', onEvent);
      core.streams.push(rust);
      return new Promise((resolve) => {
        answer = () => {
          resolve({ stream: 's1' });
        };
      });
    });
    const { result, unmount } = renderHook(() => useChat());
    act(() => void result.current.send('Hi'));
    unmount();
    await act(async () => {
      answer();
      await frame();
    });
    core.streams[0]!.started().text('still here');
    const again = renderHook(() => useChat());
    await waitFor(() => {
      expect(again.result.current.messages[1]?.content).toBe('still here');
    });
  });

  it('keeps what was saved when the stream is gone', async () => {
    new StreamCore();
    const messages = [
      { id: 'a', role: 'user', content: 'Hi' },
      { id: 'b', role: 'assistant', content: 'half' },
    ];
    sessionStorage.setItem('ingle-chat:x', JSON.stringify({ messages, stream: 'old' }));
    const { result } = renderHook(() => useChat({ id: 'x' }));
    await waitFor(() => {
      expect(result.current.status).toBe('idle');
      expect(result.current.messages[1]?.finish).toBe('cancelled');
    });
    expect(result.current.messages[1]!.content).toBe('half');
    expect(result.current.error).toBeNull();
  });

  it('without storage stops the answer when it goes', async () => {
    const core = new StreamCore();
    const { result, unmount } = renderHook(() => useChat({ storage: null }));
    act(() => void result.current.send('Hi'));
    await core.stream();
    await act(async () => {
      await frame();
    });
    unmount();
    await waitFor(() => {
      expect(core.called('cancel')).toEqual([{ stream: 's1' }]);
    });
    expect(sessionStorage.length).toBe(0);
  });

  it('goes on when the storage is full or holds rubbish', async () => {
    const core = new StreamCore();
    core.onStart = (rust) => rust.text('fine').done();
    const storage = {
      getItem: () => '{"messages": 5',
      setItem: () => {
        throw new DOMException('full', 'QuotaExceededError');
      },
      removeItem: () => undefined,
    };
    const { result } = renderHook(() => useChat({ storage }));
    await act(() => result.current.send('Hi'));
    expect(contents(result.current.messages)).toEqual(['user: Hi', 'assistant: fine']);
  });
});

describe('useModel', () => {
  const loaded = { id: 'm', name: 'M', path: '/m', info: {}, device: 'cpu', loadSeconds: 0.1 };

  it('loads with progress and unloads', async () => {
    const core = new MockCore();
    let finish!: (value: unknown) => void;
    let channel!: RustChannel;
    core.on('load_model', ({ onEvent }) => {
      channel = new RustChannel(onEvent);
      return new Promise((resolve) => (finish = resolve));
    });
    core.on('unload_model', () => null);
    const { result } = renderHook(() => useModel('m', { options: { threads: 2 } }));
    expect(result.current.status).toBe('loading');
    act(() => {
      channel.send({ event: 'progress', data: { done: 0.5, what: 'weights' } });
    });
    expect(result.current.progress).toEqual({ done: 0.5, what: 'weights' });
    await act(async () => {
      finish(loaded);
      await frame();
    });
    expect(result.current.status).toBe('ready');
    expect(result.current.model?.id).toBe('m');
    expect(core.called('load_model')[0]).toMatchObject({ model: 'm', options: { threads: 2 } });
    await act(() => result.current.unload());
    expect(result.current.status).toBe('idle');
    expect(core.called('unload_model')).toEqual([{ model: 'm' }]);
  });

  it('follows a changed name and forgets the answer of the old one', async () => {
    const core = new MockCore();
    const answers: Record<string, (value: unknown) => void> = {};
    core.on(
      'load_model',
      ({ model }) => new Promise((resolve) => (answers[String(model)] = resolve)),
    );
    const useNamed = ({ name }: { name: string | null }): UseModel => useModel(name);
    const { result, rerender } = renderHook<UseModel, { name: string | null }>(useNamed, {
      initialProps: { name: 'a' },
    });
    rerender({ name: 'b' });
    await act(async () => {
      answers['b']!({ ...loaded, id: 'b' });
      answers['a']!({ ...loaded, id: 'a' });
      await frame();
    });
    expect(result.current.model?.id).toBe('b');
    rerender({ name: null });
    expect(result.current).toMatchObject({ status: 'idle', model: null });
  });

  it('shows why loading failed, and can try again', async () => {
    const core = new MockCore();
    core.on('load_model', () =>
      Promise.reject({ code: 'bad_file', message: 'cut off', hint: 'fetch it again' }),
    );
    const { result } = renderHook(() => useModel('m'), { wrapper: strict });
    await waitFor(() => {
      expect(result.current.error).toMatchObject({ code: 'bad_file', hint: 'fetch it again' });
    });
    core.on('load_model', () => loaded);
    await act(() => result.current.load());
    expect(result.current.status).toBe('ready');
  });

  it('waits when it shall, and unloads when it goes', async () => {
    const core = new MockCore().on('load_model', () => loaded).on('unload_model', () => null);
    const { result, unmount } = renderHook(() =>
      useModel('m', { autoLoad: false, unloadOnUnmount: true }),
    );
    expect(result.current.status).toBe('idle');
    expect(core.calls).toHaveLength(0);
    await act(() => result.current.load());
    unmount();
    expect(core.called('unload_model')).toEqual([{ model: 'm' }]);
  });
});

describe('useDownload', () => {
  const progress = (bytesDone: number): object => ({
    phase: 'download',
    file: 'f',
    fileIndex: 0,
    files: 1,
    bytesDone,
    bytesTotal: 100,
    bytesResumed: 0,
    bytesPerSecond: 50,
    secondsLeft: (100 - bytesDone) / 50,
  });
  const stored = {
    name: 'm',
    path: '/m',
    bytes: 100,
    format: 'gguf',
    source: 's',
    complete: true,
    loaded: false,
  };

  function setUp(running: object[] = []): { core: MockCore; channels: RustChannel[] } {
    const channels: RustChannel[] = [];
    const core = new MockCore()
      .on('list_downloads', () => running)
      .on('download_model', ({ onEvent }) => {
        channels.push(new RustChannel(onEvent));
        return { download: 'd1' };
      })
      .on('cancel_download', () => {
        channels
          .at(-1)!
          .send({ event: 'error', data: { code: 'cancelled', message: 'stopped', hint: '' } });
        return null;
      });
    return { core, channels };
  }

  it('starts, shows progress, pauses, resumes and ends', async () => {
    const { core, channels } = setUp();
    const done = vi.fn();
    const { result } = renderHook(() => useDownload('o/n', { onDone: done }));
    await act(frame);
    expect(result.current.status).toBe('idle');
    act(() => void result.current.start());
    await act(async () => {
      channels[0]!.send({ event: 'progress', data: progress(25) });
      await frame();
    });
    expect(result.current).toMatchObject({
      status: 'running',
      fraction: 0.25,
      speed: 50,
      secondsLeft: 1.5,
    });
    await act(() => result.current.cancel());
    expect(result.current).toMatchObject({ status: 'paused', speed: 0, fraction: 0.25 });
    act(() => void result.current.resume());
    await act(async () => {
      channels[1]!.send({ event: 'progress', data: progress(60) });
      channels[1]!.send({ event: 'done', data: { model: stored } });
      await frame();
    });
    expect(result.current).toMatchObject({ status: 'done', model: stored });
    expect(done).toHaveBeenCalledWith(stored);
    expect(core.called('download_model')).toHaveLength(2);
  });

  it('joins a download that runs already', async () => {
    const { channels } = setUp([{ download: 'd1', source: 'o/n', progress: progress(40) }]);
    const { result } = renderHook(() => useDownload('o/n'), { wrapper: strict });
    await waitFor(() => {
      expect(result.current).toMatchObject({ status: 'running', fraction: 0.4 });
    });
    await act(async () => {
      channels.at(-1)!.send({ event: 'done', data: { model: stored } });
      await frame();
    });
    expect(result.current.status).toBe('done');
  });

  it('shows an error with its hint', async () => {
    const { core } = setUp();
    core.on('download_model', () =>
      Promise.reject('Command plugin:ingle|download_model not allowed by ACL'),
    );
    const { result } = renderHook(() => useDownload('o/n'));
    await act(() => result.current.start());
    expect(result.current.status).toBe('error');
    expect(result.current.error?.code).toBe('forbidden');
    expect(result.current.error?.hint).toContain('ingle:allow-download');
  });
});
