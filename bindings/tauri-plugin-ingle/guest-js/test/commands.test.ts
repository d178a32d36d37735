import { describe, expect, it, vi } from 'vitest';
import * as ingle from '../src/index.js';
import { collect, MockCore, RustChannel, StreamCore } from './mock.js';

const loaded = {
  id: 'm1',
  name: 'M',
  path: '/m',
  info: { family: 'llama' },
  device: 'cpu',
  loadSeconds: 0.5,
};

function packed(...vectors: number[][]): ArrayBuffer {
  const width = vectors[0]?.length ?? 0;
  const raw = new ArrayBuffer(8 + 4 * vectors.length * width);
  const view = new DataView(raw);
  view.setUint32(0, vectors.length, true);
  view.setUint32(4, width, true);
  vectors.flat().forEach((value, i) => {
    view.setFloat32(8 + 4 * i, value, true);
  });
  return raw;
}

describe('commands', () => {
  it('send the names and arguments of the contract', async () => {
    const core = new MockCore();
    const answers: Record<string, unknown> = {
      unload_model: null,
      list_models: [{ name: 'a' }],
      model_info: { family: 'llama' },
      tokenize: [1, 2],
      detokenize: 'ab',
      apply_template: '<s>hi',
      list_streams: [],
      list_downloads: [],
      remove_model: null,
      devices: [{ id: 'cpu' }],
      doctor: { version: '0.1.0' },
      save_session: null,
      load_session: null,
    };
    for (const [name, answer] of Object.entries(answers)) core.on(name, () => answer);
    await ingle.unloadModel('a');
    expect(await ingle.listModels()).toEqual([{ name: 'a' }]);
    expect((await ingle.modelInfo('a')).family).toBe('llama');
    expect(await ingle.tokenize('hi', { model: 'a', addSpecial: true })).toEqual([1, 2]);
    expect(await ingle.detokenize([1, 2], { spellSpecial: true })).toBe('ab');
    expect(await ingle.applyTemplate({ messages: [], addGenerationPrompt: false })).toBe('<s>hi');
    expect(await ingle.listStreams()).toEqual([]);
    expect(await ingle.listDownloads()).toEqual([]);
    await ingle.removeModel('a');
    expect((await ingle.devices())[0]!.id).toBe('cpu');
    expect((await ingle.doctor()).version).toBe('0.1.0');
    await ingle.doctor('a');
    await ingle.saveSession('s', 'a');
    await ingle.loadSession('s');
    expect(core.calls).toEqual([
      { command: 'unload_model', args: { model: 'a' } },
      { command: 'list_models', args: {} },
      { command: 'model_info', args: { model: 'a' } },
      { command: 'tokenize', args: { text: 'hi', model: 'a', addSpecial: true } },
      { command: 'detokenize', args: { tokens: [1, 2], spellSpecial: true } },
      {
        command: 'apply_template',
        args: { request: { messages: [], addGenerationPrompt: false } },
      },
      { command: 'list_streams', args: {} },
      { command: 'list_downloads', args: {} },
      { command: 'remove_model', args: { model: 'a' } },
      { command: 'devices', args: {} },
      { command: 'doctor', args: {} },
      { command: 'doctor', args: { model: 'a' } },
      { command: 'save_session', args: { name: 's', model: 'a' } },
      { command: 'load_session', args: { name: 's' } },
    ]);
  });

  it('load a model with progress', async () => {
    const core = new MockCore();
    core.on('load_model', ({ onEvent }) => {
      const channel = new RustChannel(onEvent);
      channel.send({ event: 'progress', data: { done: 0.5, what: 'weights' } });
      channel.send({ event: 'done' });
      return loaded;
    });
    const steps: ingle.LoadProgress[] = [];
    const model = await ingle.loadModel('a', {
      options: { context: 512 },
      onProgress: (step) => steps.push(step),
    });
    expect(steps).toEqual([{ done: 0.5, what: 'weights' }]);
    expect(model).toMatchObject({
      id: 'm1',
      name: 'M',
      path: '/m',
      device: 'cpu',
      loadSeconds: 0.5,
    });
    expect(model.info.family).toBe('llama');
    expect(core.calls[0]!.args).toMatchObject({ model: 'a', options: { context: 512 } });
    await expect(ingle.loadModel('a', { onProgress: () => undefined })).resolves.toBeInstanceOf(
      ingle.Model,
    );
  });

  it('a model fills in its id, and unloads when its scope ends', async () => {
    const core = new StreamCore();
    core.on('load_model', () => loaded).on('unload_model', () => null);
    for (const name of ['tokenize', 'detokenize', 'apply_template', 'save_session', 'load_session'])
      core.on(name, () => null);
    core.on('embed', () => packed([1, 0]));
    core.onStart = (rust) => rust.text('ok').done();
    {
      await using model = await ingle.loadModel('a');
      expect(await model.chat({ messages: [] }).text()).toBe('ok');
      expect(await model.generate('x').text()).toBe('ok');
      await model.tokenize('x', { parseSpecial: true });
      await model.detokenize([1]);
      await model.applyTemplate({ messages: [] });
      await model.saveSession('s');
      await model.loadSession('s');
      await model.embed('x');
    }
    const named = core.calls.map(({ command, args }) => [
      command,
      args['model'] ?? (args['request'] as { model?: string } | undefined)?.model,
    ]);
    expect(named).toEqual([
      ['load_model', 'a'],
      ['chat', 'm1'],
      ['generate', 'm1'],
      ['tokenize', 'm1'],
      ['detokenize', 'm1'],
      ['apply_template', 'm1'],
      ['save_session', 'm1'],
      ['load_session', 'm1'],
      ['embed', 'm1'],
      ['unload_model', 'm1'],
    ]);
  });
});

describe('embeddings', () => {
  it('are decoded from bytes, however they come', async () => {
    const core = new MockCore();
    const raw = packed([1, 2, 3], [0.5, -0.5, 0]);
    const padded = new Uint8Array(raw.byteLength + 3);
    padded.set(new Uint8Array(raw), 3);
    const forms: unknown[] = [
      raw,
      new Uint8Array(raw),
      padded.subarray(3),
      [...new Uint8Array(raw)],
    ];
    for (const form of forms) {
      core.on('embed', () => form);
      const vectors = await ingle.embed(['a', 'b']);
      expect(vectors.map((vector) => [...vector])).toEqual([
        [1, 2, 3],
        [0.5, -0.5, 0],
      ]);
      expect(vectors[0]).toBeInstanceOf(Float32Array);
    }
    await ingle.embed({ input: 'a', pooling: 'last', normalize: false, dimensions: 2 });
    expect(core.calls.at(-1)!.args).toEqual({
      request: { input: 'a', pooling: 'last', normalize: false, dimensions: 2 },
    });
    expect(ingle.decodeEmbeddings(packed())).toEqual([]);
  });

  it('damaged bytes are an error', () => {
    for (const raw of [null, {}, new ArrayBuffer(7), packed([1, 2]).slice(0, 12), 'text'])
      expect(() => ingle.decodeEmbeddings(raw)).toThrow(/damaged/);
  });

  it('cosineSimilarity', () => {
    expect(ingle.cosineSimilarity([1, 0], [2, 0])).toBe(1);
    expect(ingle.cosineSimilarity([1, 0], [0, 3])).toBe(0);
    expect(ingle.cosineSimilarity([1, 1], [-1, -1])).toBeCloseTo(-1, 12);
    expect(ingle.cosineSimilarity([0, 0], [1, 1])).toBe(0);
    expect(ingle.cosineSimilarity(Float32Array.of(3, 4), [3, 4])).toBeCloseTo(1, 12);
    expect(() => ingle.cosineSimilarity([1], [1, 2])).toThrow(/cannot be compared/);
  });
});

describe('downloads', () => {
  const progress = (bytesDone: number): ingle.DownloadProgress => ({
    phase: 'download',
    file: 'f',
    fileIndex: 0,
    files: 1,
    bytesDone,
    bytesTotal: 100,
    bytesResumed: 0,
    bytesPerSecond: 1,
    secondsLeft: 1,
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

  function setUp(): { core: MockCore; channels: RustChannel[] } {
    const channels: RustChannel[] = [];
    const core = new MockCore();
    core.on('download_model', ({ onEvent }) => {
      channels.push(new RustChannel(onEvent));
      return { download: 'd1' };
    });
    core.on('cancel_download', () => {
      const data = { code: 'cancelled', message: 'stopped', hint: '' };
      channels[0]!.send({ event: 'error', data });
      return null;
    });
    return { core, channels };
  }

  it('can be awaited, iterated and watched', async () => {
    const { core, channels } = setUp();
    const seen: number[] = [];
    const download = ingle.downloadModel('o/n', {
      onProgress: (step) => seen.push(step.bytesDone),
    });
    const steps = collect(download);
    expect(await download.id).toBe('d1');
    channels[0]!.send({ event: 'started', data: { source: 'o/n' } });
    channels[0]!.send({ event: 'progress', data: progress(10) });
    await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve));
    channels[0]!.send({ event: 'progress', data: progress(50) });
    channels[0]!.send({ event: 'progress', data: progress(100) });
    channels[0]!.send({ event: 'done', data: { model: stored } });
    expect(await download).toEqual(stored);
    expect((await steps).map((step) => step.bytesDone)).toEqual([10, 100]);
    expect(seen).toEqual([10, 50, 100]);
    expect(download.progress?.bytesDone).toBe(100);
    await download.cancel();
    expect(core.called('cancel_download')).toHaveLength(0);
    expect(core.called('download_model')[0]).toMatchObject({ source: 'o/n' });
  });

  it('stop by cancel or signal, with code "cancelled"', async () => {
    const { core } = setUp();
    const control = new AbortController();
    const download = ingle.downloadModel('o/n', { signal: control.signal });
    const steps = collect(download);
    const failed = expect(steps).rejects.toMatchObject({ code: 'cancelled' });
    control.abort();
    await expect(download).rejects.toMatchObject({ code: 'cancelled', message: 'stopped' });
    await failed;
    expect(core.called('cancel_download')).toEqual([{ download: 'd1' }]);
    await expect(ingle.downloadModel('o/n', { signal: AbortSignal.abort() })).rejects.toMatchObject(
      { code: 'cancelled' },
    );
    expect(core.called('download_model')).toHaveLength(1);
  });

  it('a channel that ends without saying how is an error', async () => {
    const { channels } = setUp();
    const download = ingle.downloadModel('o/n');
    await download.id;
    channels[0]!.end();
    await expect(download).rejects.toMatchObject({ code: 'internal' });
  });

  it('leaving the loop stops nothing', async () => {
    const { core, channels } = setUp();
    const download = ingle.downloadModel('o/n');
    await download.id;
    channels[0]!.send({ event: 'progress', data: progress(10) });
    for await (const step of download) {
      expect(step.bytesDone).toBe(10);
      break;
    }
    channels[0]!.send({ event: 'done', data: { model: stored } });
    expect((await download.done).name).toBe('m');
    expect(core.called('cancel_download')).toHaveLength(0);
  });

  it('verify reports progress and passes errors', async () => {
    const { core } = setUp();
    const seen = vi.fn();
    core.on('verify_model', ({ onEvent }) => {
      new RustChannel(onEvent).send({ event: 'progress', data: progress(7) });
      return null;
    });
    await ingle.verifyModel('m', { onProgress: seen });
    expect(seen).toHaveBeenCalledWith(progress(7));
    core.on('verify_model', () => Promise.reject({ code: 'bad_file', message: 'x', hint: 'y' }));
    await expect(ingle.verifyModel('m')).rejects.toMatchObject({ code: 'bad_file', hint: 'y' });
  });
});

describe('errors', () => {
  const from = (thrown: unknown): ingle.IngleError => ingle.IngleError.from(thrown);

  it('keep code, message and hint', () => {
    const error = from({ code: 'io', message: 'disk full', hint: 'make room' });
    expect(error).toBeInstanceOf(Error);
    expect(error).toBeInstanceOf(ingle.IngleError);
    expect(error.toJSON()).toEqual({ code: 'io', message: 'disk full', hint: 'make room' });
    expect(JSON.parse(JSON.stringify(error))).toEqual(error.toJSON());
    expect(String(error)).toBe('IngleError: disk full');
    expect(from(error)).toBe(error);
    expect(from({ code: 'io', message: 'x' }).hint).toBe('');
  });

  it.each([
    ['Command plugin:ingle|chat not allowed by ACL', 'ingle:default'],
    ['ingle.download_model not allowed. Permissions associated: x', 'ingle:allow-download'],
    ['ingle.remove_model not allowed on window "main"', 'ingle:allow-manage'],
    ['ingle.cancel_download not allowed. Command not found', 'ingle:allow-download'],
  ])('of the access list name the permission: %s', (text, permission) => {
    expect(from(text)).toMatchObject({ code: 'forbidden', message: text });
    expect(from(text).hint).toContain(`"${permission}"`);
    expect(from(new Error(text))).toMatchObject({ code: 'forbidden', cause: { message: text } });
  });

  it('of Tauri itself', () => {
    expect(from('plugin ingle not found')).toMatchObject({ code: 'not_found' });
    expect(from('plugin ingle not found').hint).toContain('tauri_plugin_ingle::init()');
    expect(from('invalid args `model` for command `load_model`: ...').code).toBe('bad_argument');
    expect(from('anything').code).toBe('internal');
    expect(from(undefined)).toMatchObject({
      code: 'internal',
      message: 'unknown error: undefined',
    });
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(from(loop).code).toBe('internal');
  });

  it('outside a Tauri window every function says so', async () => {
    expect(ingle.isTauri()).toBe(false);
    await expect(ingle.devices()).rejects.toMatchObject({ code: 'unsupported' });
    await expect(ingle.downloadModel('x').done).rejects.toMatchObject({ code: 'unsupported' });
    await expect(ingle.loadModel('x', { onProgress: () => undefined })).rejects.toMatchObject({
      code: 'unsupported',
    });
    new MockCore();
    expect(ingle.isTauri()).toBe(true);
  });

  it('carry the refusal of a real call', async () => {
    new MockCore().on('list_models', () =>
      Promise.reject('Command plugin:ingle|list_models not allowed by ACL'),
    );
    await expect(ingle.listModels()).rejects.toMatchObject({
      name: 'IngleError',
      code: 'forbidden',
    });
  });
});
