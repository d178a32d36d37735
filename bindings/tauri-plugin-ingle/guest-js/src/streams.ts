import { asyncDispose } from './dispose.js';
import { IngleError } from './errors.js';
import { EventLog } from './eventlog.js';
import { call, compact, openPort, type Port } from './invoke.js';
import { readableFrom, type IterableStream } from './readable.js';
import type {
  ChatRequest,
  Completion,
  FinishReason,
  GenerateRequest,
  StreamEvent,
  StreamInfo,
  Timings,
  ToolCall,
  Usage,
} from './types.js';

export interface StreamOptions {
  /** Aborting stops the generation in Rust; the stream then ends with finish "cancelled". */
  signal?: AbortSignal | undefined;
  /**
   * Keep the text for `text()`, `result` and readers that come late. Default: true. With false,
   * memory stays flat however long the answer is.
   */
  collect?: boolean | undefined;
}

export interface AttachOptions extends StreamOptions {
  /** `seq` of the last message the page has; only later ones are sent. Default 0: all. */
  after?: number | undefined;
}

type Opener = (onEvent: unknown) => Promise<{ stream: string; running?: boolean }>;

/** How long a stream that must end may take to say so before it is ended from this side. */
const GRACE_MS = 5000;

const NO_USAGE: Usage = { promptTokens: 0, cachedTokens: 0, outputTokens: 0 };
const NO_TIMINGS: Timings = { promptSeconds: 0, outputSeconds: 0, tokensPerSecond: 0 };

/**
 * An answer on its way. Iterate it for every event, or take only the text from `textStream`,
 * `text()` or `result`; several consumers may read at once and each gets everything.
 *
 * Leaving a loop early stops the generation, unless another loop still reads.
 */
export class ChatStream implements AsyncIterable<StreamEvent>, AsyncDisposable {
  /** Id on the Rust side, for `attach` after a reload. */
  readonly id: Promise<string>;
  /** The whole answer. Rejects if the stream fails; a cancelled one resolves with what there is. */
  readonly result: Promise<Completion>;

  private readonly log: EventLog;
  private readonly collect: boolean;
  private readonly signal: AbortSignal | undefined;
  private port: Port<StreamEvent> | undefined;
  private ended = false;
  private attached: boolean;
  private recovered = false;
  private cancelled: Promise<void> | undefined;
  private graceTimer: ReturnType<typeof setTimeout> | undefined;

  private seq: number;
  private streamId = '';
  private model = '';
  private textParts = '';
  private reasoningParts = '';
  private readonly calls: ToolCall[] = [];
  private lost = false;

  private resolveId!: (id: string) => void;
  private rejectId!: (error: IngleError) => void;
  private resolveResult!: (completion: Completion) => void;
  private rejectResult!: (error: IngleError) => void;

  /** @internal Use `chat`, `generate` or `attach`. */
  constructor(open: Opener, options: StreamOptions, attach?: { after: number }) {
    this.collect = options.collect ?? true;
    this.log = new EventLog(this.collect);
    this.signal = options.signal;
    this.attached = attach !== undefined;
    this.seq = attach?.after ?? 0;
    this.id = new Promise((resolve, reject) => {
      this.resolveId = resolve;
      this.rejectId = reject;
    });
    this.result = new Promise((resolve, reject) => {
      this.resolveResult = resolve;
      this.rejectResult = reject;
    });
    // A consumer of one of them must not be told that the others went unhandled.
    this.id.catch(() => undefined);
    this.result.catch(() => undefined);

    if (this.signal?.aborted) {
      this.rejectId(new IngleError('cancelled', 'aborted before it began'));
      this.finishHere('cancelled');
      return;
    }
    this.signal?.addEventListener('abort', this.onAbort, { once: true });
    this.open(open);
  }

  /** False once the last message has come. */
  get running(): boolean {
    return !this.ended;
  }

  /** `seq` of the newest message. */
  get lastSeq(): number {
    return this.seq;
  }

  /** On attach: the start of the stream was no longer kept. */
  get truncated(): boolean {
    return this.lost;
  }

  /** What has arrived so far. */
  get current(): { text: string; reasoning: string; toolCalls: ToolCall[] } {
    return {
      text: this.textParts,
      reasoning: this.reasoningParts,
      toolCalls: this.calls.map((one) => ({ ...one })),
    };
  }

  /** Every event, in order. Throws an IngleError if the stream fails. */
  [Symbol.asyncIterator](): AsyncIterableIterator<StreamEvent, undefined> {
    return this.log.read(() => void this.cancel().catch(() => undefined));
  }

  /** The text alone. Each access begins again at the start. */
  get textStream(): IterableStream<string> {
    return readableFrom(
      () => this[Symbol.asyncIterator](),
      (event) => (event.event === 'text' ? event.data.text : undefined),
    );
  }

  /** Every event as a ReadableStream. */
  toReadableStream(): IterableStream<StreamEvent> {
    return readableFrom(
      () => this[Symbol.asyncIterator](),
      (event) => event,
    );
  }

  /** The whole text, once it is there. */
  async text(): Promise<string> {
    if (!this.collect)
      throw new IngleError(
        'bad_argument',
        'this stream keeps no text',
        'leave out `collect: false`',
      );
    return (await this.result).text;
  }

  /** Stops the generation. Does nothing to a stream that has ended. */
  cancel(): Promise<void> {
    if (this.ended) return Promise.resolve();
    this.cancelled ??= this.id.then(async (stream) => {
      if (!this.ended) await call<null>('cancel', { stream });
    });
    this.graceTimer ??= setTimeout(() => {
      this.finishHere('cancelled');
    }, GRACE_MS);
    return this.cancelled;
  }

  /** Stops listening and lets the generation go on; `attach` takes it up again. */
  detach(): void {
    if (this.ended) return;
    // `id` may still come: it is what attaching again needs.
    const error = new IngleError('cancelled', 'detached from the stream', 'attach(id) goes on');
    this.close();
    this.rejectResult(error);
    this.log.end(error);
  }

  async [asyncDispose](): Promise<void> {
    await this.cancel();
  }

  private readonly onAbort = (): void => {
    this.cancel().catch(() => undefined);
  };

  private open(opener: Opener): void {
    let port: Port<StreamEvent>;
    try {
      port = openPort<StreamEvent>((event) => {
        if (this.port === port) this.receive(event);
      });
    } catch (error) {
      this.fail(IngleError.from(error));
      return;
    }
    this.port = port;
    opener(port.channel).then(
      ({ stream, running }) => {
        this.setId(stream);
        if (this.port === port) this.expectEnd(port, running ?? true);
      },
      (error: unknown) => {
        this.rejectId(IngleError.from(error));
        if (this.port === port) this.fail(IngleError.from(error));
      },
    );
  }

  /*
   * A stream that can send nothing more must not be waited for. The promise is known by now: a
   * refused command closes its channel too, and that notice may come before the refusal.
   */
  private expectEnd(port: Port<StreamEvent>, running: boolean): void {
    const error = running
      ? new IngleError(
          'cancelled',
          'nothing more comes here: the stream was attached to from elsewhere, or its window closed',
          'use one ChatStream for a stream; several loops may read it',
        )
      : new IngleError(
          'not_found',
          `the stream has ended and has nothing after message ${this.seq}`,
          'attach from an earlier message',
        );
    const end = (): void => {
      if (this.port === port) this.fail(error);
    };
    void port.closed.then(end);
    if (!running) this.graceTimer ??= setTimeout(end, GRACE_MS);
  }

  private setId(stream: string): void {
    if (this.streamId) return;
    this.streamId = stream;
    this.resolveId(stream);
  }

  private receive(event: StreamEvent): void {
    if (this.ended) return;
    const { seq } = event.data;
    if (event.event === 'truncated') this.lost = true;
    else if (seq <= this.seq) return;
    else if (!this.follows(event)) {
      this.recover(seq);
      return;
    }
    this.seq = Math.max(this.seq, seq);
    this.accept(event);
  }

  /* A replay may have joined pieces of text: then `seq` leaps. */
  private follows(event: StreamEvent): boolean {
    return event.data.seq === this.seq + 1 || this.attached;
  }

  /* Messages are missing: ask for all since the last good one, once. */
  private recover(got: number): void {
    const missing = `messages ${this.seq + 1} to ${got - 1} of the stream are missing`;
    if (this.recovered) {
      this.fail(new IngleError('internal', missing));
      return;
    }
    this.recovered = true;
    this.attached = true;
    this.port?.close();
    this.port = undefined;
    const after = this.seq;
    this.id.then(
      (stream) => {
        if (!this.ended) this.open((onEvent) => call('attach', { stream, after, onEvent }));
      },
      () => undefined,
    );
  }

  private accept(event: StreamEvent): void {
    switch (event.event) {
      case 'started':
        this.model = event.data.model;
        this.setId(event.data.stream);
        break;
      case 'text':
        if (this.collect) this.textParts += event.data.text;
        break;
      case 'reasoning':
        if (this.collect) this.reasoningParts += event.data.text;
        break;
      case 'toolCall':
        this.addToolCall(event.data);
        break;
      case 'error':
        this.fail(new IngleError(event.data.code, event.data.message, event.data.hint));
        return;
      case 'done':
        this.log.push(event);
        this.close();
        this.log.end();
        this.resolveResult(this.completion(event.data));
        return;
    }
    this.log.push(event);
  }

  private addToolCall(piece: {
    index: number;
    id?: string;
    name?: string;
    arguments: string;
  }): void {
    let known = this.calls.find((one) => one.index === piece.index);
    if (!known) {
      known = { index: piece.index, id: '', name: '', arguments: '' };
      this.calls.push(known);
    }
    if (piece.id) known.id = piece.id;
    if (piece.name) known.name = piece.name;
    known.arguments += piece.arguments;
  }

  private completion(end: { finish: FinishReason; usage: Usage; timings: Timings }): Completion {
    return {
      ...this.current,
      finish: end.finish,
      usage: end.usage,
      timings: end.timings,
      stream: this.streamId,
      model: this.model,
    };
  }

  private finishHere(finish: FinishReason): void {
    if (this.ended) return;
    this.accept({
      event: 'done',
      data: { seq: ++this.seq, finish, usage: NO_USAGE, timings: NO_TIMINGS },
    });
  }

  private fail(error: IngleError): void {
    if (this.ended) return;
    this.close();
    this.rejectId(error);
    this.rejectResult(error);
    this.log.end(error);
  }

  private close(): void {
    this.ended = true;
    this.port?.close();
    this.port = undefined;
    clearTimeout(this.graceTimer);
    this.signal?.removeEventListener('abort', this.onAbort);
  }
}

/** Answers a conversation. Returns at once; errors come when the stream is read. */
export function chat(request: ChatRequest, options: StreamOptions = {}): ChatStream {
  const sent = compact(request);
  return new ChatStream((onEvent) => call('chat', { request: sent, onEvent }), options);
}

/** Continues a raw prompt. */
export function generate(
  request: GenerateRequest | string,
  options: StreamOptions = {},
): ChatStream {
  const sent = typeof request === 'string' ? { prompt: request } : compact(request);
  return new ChatStream((onEvent) => call('generate', { request: sent, onEvent }), options);
}

/** Takes up a stream again, after a reload of the page for example. */
export function attach(stream: string, options: AttachOptions = {}): ChatStream {
  const after = options.after ?? 0;
  return new ChatStream((onEvent) => call('attach', { stream, after, onEvent }), options, {
    after,
  });
}

/** Streams of this window, running or ended a short while ago. */
export function listStreams(): Promise<StreamInfo[]> {
  return call('list_streams');
}

/** Attaches to every stream of this window that still runs: call it when the page loads. */
export async function resumeStreams(
  options: StreamOptions = {},
): Promise<{ info: StreamInfo; stream: ChatStream }[]> {
  const running = (await listStreams()).filter((info) => info.running);
  return running.map((info) => ({ info, stream: attach(info.stream, options) }));
}
