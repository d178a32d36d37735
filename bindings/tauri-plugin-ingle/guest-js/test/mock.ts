import { mockIPC } from '@tauri-apps/api/mocks';

type Args = Record<string, unknown>;
type Handler = (args: Args) => unknown;

/** A Tauri core that answers the plugin's commands; everything called is in `calls`. */
export class MockCore {
  readonly calls: { command: string; args: Args }[] = [];
  private readonly handlers = new Map<string, Handler>();

  constructor() {
    mockIPC((command, payload) => {
      const name = command.replace('plugin:ingle|', '');
      const args = (payload ?? {}) as Args;
      this.calls.push({ command: name, args });
      const handler = this.handlers.get(name);
      if (!handler) throw new Error(`no handler for ${command}`);
      return handler(args);
    });
  }

  on(command: string, handler: Handler): this {
    this.handlers.set(command, handler);
    return this;
  }

  called(command: string): Args[] {
    return this.calls.filter((call) => call.command === command).map((call) => call.args);
  }
}

interface Internals {
  runCallback: (id: number, data: unknown) => void;
}

/** The Rust end of a channel: numbers its messages as Tauri does. */
export class RustChannel {
  private index = 0;
  private readonly id: number;

  constructor(channel: unknown) {
    this.id = (channel as { id: number }).id;
  }

  send(message: unknown): void {
    this.raw({ index: this.index++, message });
  }

  end(): void {
    this.raw({ index: this.index, end: true });
  }

  private raw(data: unknown): void {
    (window as unknown as { __TAURI_INTERNALS__: Internals }).__TAURI_INTERNALS__.runCallback(
      this.id,
      data,
    );
  }
}

export const usage = { promptTokens: 3, cachedTokens: 1, outputTokens: 2 };
export const timings = { promptSeconds: 0.1, outputSeconds: 0.2, tokensPerSecond: 10 };

/** Speaks for one stream: counts `seq`, keeps a log for `attach`. */
export class RustStream {
  seq = 0;
  readonly log: { event: string; data: Record<string, unknown> }[] = [];
  channel: RustChannel | undefined;

  constructor(
    readonly id: string,
    channel: unknown,
  ) {
    this.channel = new RustChannel(channel);
  }

  emit(event: string, data: Record<string, unknown> = {}): this {
    const message = { event, data: { seq: ++this.seq, ...data } };
    this.log.push(message);
    this.channel?.send(message);
    return this;
  }

  /** Counts and logs a message that never arrives. */
  lose(event: string, data: Record<string, unknown> = {}): this {
    this.log.push({ event, data: { seq: ++this.seq, ...data } });
    return this;
  }

  attach(channel: unknown, after: number): void {
    this.channel = new RustChannel(channel);
    for (const message of this.log)
      if ((message.data['seq'] as number) > after) this.channel.send(message);
  }

  started(): this {
    return this.emit('started', { stream: this.id, model: 'tiny' });
  }

  text(text: string, tokens = 1): this {
    return this.emit('text', { text, tokens });
  }

  reasoning(text: string, tokens = 1): this {
    return this.emit('reasoning', { text, tokens });
  }

  done(finish = 'stop'): this {
    return this.emit('done', { finish, usage, timings });
  }

  error(code: string, message = 'it broke', hint = 'mend it'): this {
    return this.emit('error', { code, message, hint });
  }
}

/** A core whose `chat` and `generate` open a RustStream each. */
export class StreamCore extends MockCore {
  readonly streams: RustStream[] = [];
  onStart: ((stream: RustStream, args: Args) => void) | undefined;

  constructor() {
    super();
    const start: Handler = (args) => {
      const stream = new RustStream(`s${this.streams.length + 1}`, args['onEvent']);
      this.streams.push(stream);
      this.onStart?.(stream, args);
      return { stream: stream.id };
    };
    this.on('chat', start).on('generate', start);
    this.on('cancel', ({ stream }) => {
      const found = this.streams.find((one) => one.id === stream);
      if (found?.log.at(-1)?.event !== 'done') found?.done('cancelled');
      return null;
    });
    this.on('attach', ({ stream, after, onEvent }) => {
      const found = this.streams.find((one) => one.id === stream);
      if (!found) return Promise.reject({ code: 'not_found', message: 'no such stream', hint: '' });
      found.attach(onEvent, after as number);
      return { stream, running: found.log.at(-1)?.event !== 'done' };
    });
  }

  /** Waits for the stream that the nth request (from 0) opens. */
  async stream(n = 0): Promise<RustStream> {
    for (let i = 0; i < 200; i++) {
      const stream = this.streams[n];
      if (stream) return stream;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error(`stream ${n} was never opened`);
  }
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}

export const hello = { messages: [{ role: 'user' as const, content: 'hello' }] };
