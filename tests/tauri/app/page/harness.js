// What the WebDriver tests call: every function of `harness` gives or resolves with plain JSON.
// `harness.run(name, ...args)` never rejects: it resolves with {value} or {error}.
'use strict';

(() => {
  const { ingle, core, event: tauriEvent } = window.__TAURI__;
  const SAVED = 'harness-stream';
  const streams = new Map();
  const listeners = new Set();
  let download = null;
  let downloadState = null;

  const tell = (kind, data) => {
    for (const listener of listeners) listener(kind, data);
  };

  const errorShape = (error) => ({
    name: error?.name ?? typeof error,
    code: error?.code ?? null,
    message: error?.message ?? String(error),
    hint: error?.hint ?? null,
    details: error?.details ?? null,
  });

  // ---- Streams ----

  function track(key, stream, options = {}) {
    const state = {
      key,
      id: null,
      running: true,
      text: '',
      reasoning: '',
      kinds: {},
      messages: 0,
      tokens: 0,
      lastSeq: 0,
      inOrder: true,
      firstTextMs: null,
      endMs: null,
      finish: null,
      usage: null,
      timings: null,
      error: null,
      truncated: false,
    };
    const kept = { state, stream, events: [], ended: null };
    streams.set(key, kept);
    const began = performance.now();
    stream.id.then(
      (id) => {
        state.id = id;
        if (options.save !== false) sessionStorage.setItem(SAVED, id);
      },
      () => undefined,
    );
    kept.ended = consume(kept, began, options);
    tell('stream', state);
    return state;
  }

  function note(kept, event, began, keepEvents) {
    const { state } = kept;
    const { seq } = event.data;
    if (seq <= state.lastSeq && event.event !== 'truncated') state.inOrder = false;
    state.lastSeq = Math.max(state.lastSeq, seq);
    state.messages++;
    state.kinds[event.event] = (state.kinds[event.event] ?? 0) + 1;
    if (event.event === 'text' || event.event === 'reasoning') {
      state[event.event] += event.data.text;
      state.tokens += event.data.tokens;
      state.firstTextMs ??= performance.now() - began;
    } else if (event.event === 'truncated') state.truncated = true;
    else if (event.event === 'done') Object.assign(state, pick(event.data));
    if (keepEvents) kept.events.push({ ...event, at: performance.now() - began });
  }

  const pick = ({ finish, usage, timings }) => ({ finish, usage, timings });

  async function consume(kept, began, options) {
    const { state, stream } = kept;
    let texts = 0;
    try {
      for await (const event of stream) {
        note(kept, event, began, options.keepEvents !== false);
        tell('event', { key: state.key, event, state });
        if (event.event === 'text' && ++texts === options.breakAfter) break;
        if (event.event === 'text' && texts === options.abortAfter) options.control.abort();
      }
      if (options.breakAfter) Object.assign(state, pick(await stream.result));
    } catch (error) {
      state.error = errorShape(error);
    }
    state.running = false;
    state.endMs = performance.now() - began;
    tell('end', state);
    return state;
  }

  const messagesOf = (request) =>
    typeof request === 'string' ? { messages: [{ role: 'user', content: request }] } : request;

  function find(key) {
    const kept = streams.get(key);
    if (!kept) throw new Error(`the harness has no stream ${key}`);
    return kept;
  }

  const streamFunctions = {
    /** Starts a chat and returns at once. options: {save, keepEvents, breakAfter, abortAfter}. */
    startChat(request, key = 'main', options = {}) {
      const control = new AbortController();
      const stream = ingle.chat(messagesOf(request), { signal: control.signal });
      return track(key, stream, { ...options, control });
    },
    startGenerate(request, key = 'main', options = {}) {
      const control = new AbortController();
      const stream = ingle.generate(request, { signal: control.signal });
      return track(key, stream, { ...options, control });
    },
    /** The stream's id, once Rust has told it. */
    id: (key = 'main') => find(key).stream.id,
    state: (key = 'main') => find(key).state,
    events: (key = 'main', from = 0) => find(key).events.slice(from),
    /** Waits for the end. */
    wait: (key = 'main') => find(key).ended,
    /** Waits until that much text is there, or the stream has ended. */
    async waitText(length, key = 'main') {
      const kept = find(key);
      while (kept.state.running && kept.state.text.length < length)
        await new Promise((resolve) => setTimeout(resolve, 5));
      return kept.state;
    },
    chat(request, key = 'main', options = {}) {
      streamFunctions.startChat(request, key, options);
      return find(key).ended;
    },
    generate(request, key = 'main', options = {}) {
      streamFunctions.startGenerate(request, key, options);
      return find(key).ended;
    },
    async stop(key = 'main') {
      const began = performance.now();
      const kept = find(key);
      await kept.stream.cancel();
      return { ...(await kept.ended), stopMs: performance.now() - began };
    },
    detach(key = 'main') {
      find(key).stream.detach();
      return find(key).ended;
    },
    listStreams: () => ingle.listStreams(),
    /** Takes a stream up again; without an id the one that the page before the reload had. */
    attach(id = sessionStorage.getItem(SAVED), after = 0, key = 'attached') {
      if (!id) throw new Error('no stream was saved before the reload');
      return track(key, ingle.attach(id, { after }), { save: false });
    },
    saved: () => sessionStorage.getItem(SAVED),
    async resumeAll() {
      const found = await ingle.resumeStreams();
      return found.map(({ info, stream }) => track(info.stream, stream, { save: false }));
    },
    /** The text through textStream, read as a ReadableStream. */
    async textStream(request) {
      const reader = ingle.chat(messagesOf(request)).textStream.getReader();
      const pieces = [];
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return { pieces: pieces.length, text: pieces.join('') };
        pieces.push(value);
      }
    },
  };

  // ---- Models ----

  const modelFunctions = {
    async load(model, options) {
      const progress = [];
      const loaded = await ingle.loadModel(model, {
        options,
        onProgress: (step) => {
          progress.push(step);
          tell('load', step);
        },
      });
      const { id, name, path, info, device, loadSeconds } = loaded;
      tell('loaded', { id, name, device });
      return { id, name, path, info, device, loadSeconds, progress };
    },
    async unload(model) {
      await ingle.unloadModel(model);
      tell('unloaded', model);
      return null;
    },
    models: () => ingle.listModels(),
    info: (model) => ingle.modelInfo(model),
    devices: () => ingle.devices(),
    doctor: (model) => ingle.doctor(model),
    tokenize: (text, options) => ingle.tokenize(text, options),
    detokenize: (tokens, options) => ingle.detokenize(tokens, options),
    applyTemplate: (request) => ingle.applyTemplate(request),
    async embed(request) {
      const vectors = await ingle.embed(request);
      const length = (v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
      return {
        count: vectors.length,
        width: vectors[0]?.length ?? 0,
        lengths: vectors.map(length),
        similarity: vectors.map((a) => vectors.map((b) => ingle.cosineSimilarity(a, b))),
        first: [...(vectors[0] ?? [])].slice(0, 8),
        finite: vectors.every((v) => v.every(Number.isFinite)),
      };
    },
    saveSession: async (name, model) => (await ingle.saveSession(name, model)) ?? null,
    loadSession: async (name, model) => (await ingle.loadSession(name, model)) ?? null,
    /** A typed object while it grows. */
    async object(request) {
      const partials = [];
      const stream = ingle.streamObject(request);
      for await (const partial of stream) partials.push(partial);
      const { object, text, attempts } = await stream.result;
      return { object, text, attempts, partials };
    },
  };

  // ---- Downloads ----

  const downloadFunctions = {
    startDownload(source) {
      const steps = [];
      const state = { source, id: null, running: true, progress: null, steps, model: null, error: null };
      download = ingle.downloadModel(source, {
        onProgress: (progress) => {
          state.progress = progress;
          if (steps.length < 10000) steps.push([progress.phase, progress.bytesDone]);
          tell('download', state);
        },
      });
      download.id.then(
        (id) => (state.id = id),
        () => undefined,
      );
      download.done
        .then(
          (model) => (state.model = model),
          (error) => (state.error = errorShape(error)),
        )
        .then(() => {
          state.running = false;
          tell('download', state);
        });
      downloadState = state;
      return state;
    },
    downloadState: () => downloadState,
    async cancelDownload() {
      await download?.cancel();
      return downloadFunctions.waitDownload();
    },
    async waitDownload() {
      await download?.done.catch(() => undefined);
      await Promise.resolve();
      return downloadState;
    },
    /** Waits until that many bytes are there, or the download has ended. */
    async waitBytes(bytes) {
      while (downloadState.running && (downloadState.progress?.bytesDone ?? 0) < bytes)
        await new Promise((resolve) => setTimeout(resolve, 5));
      return downloadState;
    },
    listDownloads: () => ingle.listDownloads(),
    remove: async (model) => (await ingle.removeModel(model)) ?? null,
    verify: async (model) => (await ingle.verifyModel(model)) ?? null,
  };

  // ---- Simple names, errors, windows ----

  const otherFunctions = {
    /** An app as the tutorials write it: no plugin prefix, one event a token. */
    async compat(modelPath, prompt = 'Once upon a time', maxTokens = 24) {
      const tokens = [];
      const unlisten = await tauriEvent.listen('llm-token', ({ payload }) => tokens.push(payload));
      try {
        const loaded = await core.invoke('load_llm_model', { modelPath });
        const text = await core.invoke('generate_text', { prompt, maxTokens });
        // Events may arrive after the promise.
        for (let i = 0; i < 100 && tokens.join('') !== text; i++)
          await new Promise((resolve) => setTimeout(resolve, 10));
        return { loaded: loaded ?? null, tokens, text };
      } finally {
        unlisten();
      }
    },
    /** Any command, with the error as Tauri hands it over. */
    async invoke(command, args = {}) {
      try {
        return { value: await core.invoke(command, args) };
      } catch (error) {
        return { error };
      }
    },
    /** What each kind of wrong call is refused with. */
    async errors() {
      const wrong = {
        noModel: () => ingle.loadModel('no-such-model.gguf'),
        noStream: () => ingle.attach('no-such-stream').result,
        badRequest: () => ingle.chat({ messages: 'no list' }).result,
        emptyPrompt: () => ingle.generate({ prompt: 5 }).result,
        badOption: () => ingle.loadModel('smollm2', { options: { 'no-such-option': 1 } }),
        badName: () => ingle.saveSession('../outside'),
        outside: () => ingle.loadModel('/etc/passwd'),
        refused: () => ingle.removeModel('no-such-model'),
      };
      const found = {};
      for (const [name, call] of Object.entries(wrong))
        found[name] = await call().then(
          () => null,
          (error) => ({ ...errorShape(error), isIngleError: error instanceof ingle.IngleError }),
        );
      return found;
    },
    openWindow: (label) => core.invoke('test_open_window', { label }),
    closeWindow: (label) => core.invoke('test_close_window', { label }),
    setVisible: (label, visible) => core.invoke('test_set_visible', { label, visible }),
    evalIn: (label, script) => core.invoke('test_eval', { label, script }),
    windows: () => core.invoke('test_windows'),
  };

  // ---- Measuring ----

  let frameCount = null;

  const measureFunctions = {
    /** Counts animation frames for so many milliseconds. */
    async frames(ms = 2000) {
      measureFunctions.startFrames();
      await new Promise((resolve) => setTimeout(resolve, ms));
      return measureFunctions.stopFrames();
    },
    startFrames() {
      const count = { frames: 0, began: performance.now(), last: 0, longestMs: 0, on: true };
      const step = (now) => {
        if (!count.on) return;
        count.frames++;
        if (count.last) count.longestMs = Math.max(count.longestMs, now - count.last);
        count.last = now;
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
      frameCount = count;
      return null;
    },
    stopFrames() {
      frameCount.on = false;
      const ms = performance.now() - frameCount.began;
      const { frames, longestMs } = frameCount;
      return { frames, ms, fps: (frames * 1000) / ms, longestMs };
    },
    /** Frames while a chat runs, beside those of the idle page just before. */
    async framesDuring(request, ms = 2000) {
      const idle = await measureFunctions.frames(ms);
      streamFunctions.startChat(request, 'frames', { keepEvents: false });
      await streamFunctions.waitText(1, 'frames');
      measureFunctions.startFrames();
      const { ended } = find('frames');
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, ms))]);
      const busy = measureFunctions.stopFrames();
      if (find('frames').state.running) await streamFunctions.stop('frames');
      return { idle, busy, ratio: busy.fps / idle.fps, state: find('frames').state };
    },
    /**
     * A long answer straight from the channel, checked message by message: `seq` without a hole, as
     * many tokens as `done` counts. `hash` is FNV-1a over the UTF-8 bytes, to compare with the text
     * made elsewhere. Nothing is kept, so memory must stay flat.
     */
    order(request) {
      const result = { messages: 0, tokens: 0, holes: 0, bytes: 0, hash: 0x811c9dc5, lastSeq: 0 };
      const encoder = new TextEncoder();
      const channel = new core.Channel();
      return new Promise((resolve, reject) => {
        channel.onmessage = ({ event, data }) => {
          if (data.seq !== result.lastSeq + 1) result.holes++;
          result.lastSeq = data.seq;
          result.messages++;
          if (event === 'error') reject(data);
          if (event === 'done') resolve({ ...result, ...pick(data) });
          if (event !== 'text' && event !== 'reasoning') return;
          result.tokens += data.tokens;
          for (const byte of encoder.encode(data.text)) {
            result.hash = Math.imul(result.hash ^ byte, 0x01000193) >>> 0;
            result.bytes++;
          }
        };
        core.invoke('plugin:ingle|generate', { request, onEvent: channel }).catch(reject);
      });
    },
  };

  const harness = {
    ...streamFunctions,
    ...modelFunctions,
    ...downloadFunctions,
    ...otherFunctions,
    ...measureFunctions,
    /** Calls one of the functions by name: {value} or {error}, never a rejection. */
    async run(name, ...args) {
      try {
        return { value: (await harness[name](...args)) ?? null };
      } catch (error) {
        return { error: errorShape(error) };
      }
    },
    onChange: (listener) => listeners.add(listener),
    ready: true,
  };
  window.harness = harness;
})();
