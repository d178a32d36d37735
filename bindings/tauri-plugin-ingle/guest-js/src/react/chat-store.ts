import {
  attach,
  chat,
  IngleError,
  type ChatRequest,
  type ChatStream,
  type FinishReason,
  type Message,
  type StreamEvent,
  type Timings,
  type Usage,
} from '../index.js';
import { loadChat, saveChat } from './chat-storage.js';
import { FrameStore } from './frame.js';

/** A message as a chat shows it. */
export interface ChatMessage {
  id: string;
  role: 'system' | 'user' | 'assistant';
  content: string;
  /** What a reasoning model thought first. */
  reasoning?: string;
  /** Missing while the answer is being written. */
  finish?: FinishReason | 'error';
  usage?: Usage;
  timings?: Timings;
  error?: { code: string; message: string; hint: string };
}

/** `submitted` until the first piece of the answer, then `streaming`. */
export type ChatStatus = 'idle' | 'submitted' | 'streaming' | 'error';

export interface ChatState {
  messages: ChatMessage[];
  status: ChatStatus;
  error: IngleError | null;
  /** Measured while the answer runs, the engine's own number after it. */
  tokensPerSecond: number | null;
  /** How much of the prompt has been read. */
  promptProgress: { done: number; total: number } | null;
}

export interface ChatOptions {
  /** Tells chats of one page apart. Default: "chat". */
  id?: string | undefined;
  /** Path or store name, or a loaded model. */
  model?: string | { readonly id: string } | undefined;
  system?: string | undefined;
  initialMessages?: ChatMessage[] | undefined;
  /** Sampling and other fields of the request. */
  request?: Omit<ChatRequest, 'messages' | 'model'> | undefined;
  /**
   * Where the conversation is kept so that a reload of the page finds it, and the running answer,
   * again. Default: sessionStorage. null: nowhere; leaving the page then stops the answer.
   */
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null | undefined;
  onFinish?: ((message: ChatMessage) => void) | undefined;
  onError?: ((error: IngleError) => void) | undefined;
}

let counter = 0;

function newId(): string {
  return `m${Date.now().toString(36)}-${counter++}`;
}

/** A conversation: what is behind `useChat`. */
export class ChatStore extends FrameStore<ChatState> {
  private stream: ChatStream | null = null;
  private streamId: string | null = null;
  /** Left while its id was not known yet. */
  private detached: { stream: ChatStream; id: string } | null = null;
  private connected = false;
  /** The component is gone: nothing new begins. */
  private left = false;
  private answering: Promise<void> = Promise.resolve();
  private restored = false;

  constructor(private options: ChatOptions) {
    super({
      messages: options.initialMessages ?? [],
      status: 'idle',
      error: null,
      tokensPerSecond: null,
      promptProgress: null,
    });
  }

  /** The options of the newest render. */
  configure(options: ChatOptions): void {
    this.options = options;
  }

  /** Takes up what was there before a reload. */
  connect(): void {
    this.connected = true;
    this.left = false;
    const saved = loadChat(this.options);
    if (!saved) return;
    if (!this.restored) this.set({ messages: saved.messages });
    this.restored = true;
    const last = saved.messages.at(-1);
    if (saved.stream && last?.role === 'assistant' && !this.stream)
      this.answering = this.follow(attach(saved.stream), last.id, saved.stream);
  }

  /** The page goes away: what is kept runs on, the rest stops. */
  disconnect(): void {
    this.connected = false;
    this.left = true;
    const { stream } = this;
    if (!stream) return;
    this.stream = null;
    if (this.options.storage === null) stream.cancel().catch(() => undefined);
    else {
      if (this.streamId === null)
        this.detached = { stream, id: this.state.messages.at(-1)?.id ?? '' };
      this.save();
      stream.detach();
    }
  }

  readonly send = async (text: string): Promise<void> => {
    if (this.stream) await this.stop();
    const { messages } = this.state;
    await this.answer([...messages, { id: newId(), role: 'user', content: text }]);
  };

  /** Stops the running answer and keeps what there is of it. */
  readonly stop = async (): Promise<void> => {
    if (!this.stream) return;
    await this.stream.cancel();
    await this.answering;
  };

  /** Answers again: the last answer, or that of the message with this id. */
  readonly regenerate = async (id?: string): Promise<void> => {
    if (this.stream) await this.stop();
    const { messages } = this.state;
    const at = id === undefined ? messages.length - 1 : this.find(id);
    const end = messages[at]?.role === 'assistant' ? at : at + 1;
    if (end > 0) await this.answer(messages.slice(0, end));
  };

  /** Puts other words into a message of the user; what followed it is dropped and answered anew. */
  readonly edit = async (id: string, text: string): Promise<void> => {
    if (this.stream) await this.stop();
    const at = this.find(id);
    const changed = { ...this.state.messages[at]!, content: text };
    const kept = [...this.state.messages.slice(0, at), changed];
    if (changed.role === 'user') await this.answer(kept);
    else this.setMessages(kept);
  };

  readonly setMessages = (messages: ChatMessage[]): void => {
    this.set({ messages });
    this.save();
  };

  /** An empty conversation. */
  readonly clear = async (): Promise<void> => {
    if (this.stream) await this.stop();
    this.set({ messages: [], status: 'idle', error: null, tokensPerSecond: null });
    this.save();
  };

  /** Writes the conversation down, with the answer as far as it goes. */
  readonly save = (): void => {
    saveChat(this.options, {
      messages: this.state.messages,
      ...(this.streamId ? { stream: this.streamId } : {}),
    });
  };

  private find(id: string): number {
    const at = this.state.messages.findIndex((message) => message.id === id);
    if (at < 0)
      throw new IngleError('not_found', `the chat has no message ${id}`, 'see messages[].id');
    return at;
  }

  private answer(messages: ChatMessage[]): Promise<void> {
    if (this.left) return Promise.resolve();
    const { model, system, request } = this.options;
    const sent: Message[] = messages
      .filter((message) => message.content !== '')
      .map(({ role, content }) => ({ role, content }));
    if (system) sent.unshift({ role: 'system', content: system });
    const id = newId();
    this.set({ messages: [...messages, { id, role: 'assistant', content: '' }] });
    const name = typeof model === 'object' ? model.id : model;
    const stream = chat({
      ...request,
      ...(name === undefined ? {} : { model: name }),
      messages: sent,
    });
    this.answering = this.follow(stream, id, null);
    return this.answering;
  }

  private async follow(stream: ChatStream, id: string, known: string | null): Promise<void> {
    this.stream = stream;
    this.streamId = known;
    this.set({ status: 'submitted', error: null, tokensPerSecond: null, promptProgress: null });
    this.save();
    stream.id.then(
      (streamId) => {
        this.learn(stream, streamId);
      },
      () => undefined,
    );
    const meter = new Meter();
    try {
      for await (const event of stream) if (this.stream === stream) this.take(event, id, meter);
    } catch (error) {
      if (this.stream === stream) this.failed(IngleError.from(error), id, known !== null);
    }
  }

  private learn(stream: ChatStream, streamId: string): void {
    const { detached } = this;
    if (detached?.stream === stream) {
      this.detached = null;
      this.streamId = streamId;
      this.save();
      if (this.connected) this.answering = this.follow(attach(streamId), detached.id, streamId);
    } else if (this.stream === stream) {
      this.streamId = streamId;
      this.save();
    }
  }

  private take(event: StreamEvent, id: string, meter: Meter): void {
    switch (event.event) {
      case 'progress':
        this.set({ promptProgress: { done: event.data.done, total: event.data.total } }, 'frame');
        break;
      case 'text':
      case 'reasoning':
        this.grow(event, id, meter);
        break;
      case 'done':
        this.finished(event.data, id);
        break;
      default:
        break;
    }
  }

  private grow(
    event: Extract<StreamEvent, { event: 'text' | 'reasoning' }>,
    id: string,
    meter: Meter,
  ): void {
    meter.count(event.data.tokens);
    const { text, reasoning } = this.stream!.current;
    const change = reasoning ? { content: text, reasoning } : { content: text };
    this.set(
      {
        messages: this.withMessage(id, change),
        status: 'streaming',
        promptProgress: null,
        tokensPerSecond: meter.rate,
      },
      'frame',
    );
  }

  private finished(
    end: { finish: FinishReason; usage: Usage; timings: Timings },
    id: string,
  ): void {
    const { finish, usage, timings } = end;
    const { text, reasoning } = this.stream!.current;
    const kept = this.state.messages.find((message) => message.id === id)?.content ?? '';
    this.stream = null;
    this.streamId = null;
    const messages = this.withMessage(id, {
      content: text || kept,
      ...(reasoning ? { reasoning } : {}),
      finish,
      usage,
      timings,
    });
    this.set({
      messages,
      status: 'idle',
      promptProgress: null,
      tokensPerSecond: timings.tokensPerSecond || this.state.tokensPerSecond,
    });
    this.save();
    const message = messages.find((one) => one.id === id);
    if (message) this.options.onFinish?.(message);
  }

  private failed(error: IngleError, id: string, attached: boolean): void {
    this.stream = null;
    this.streamId = null;
    // The app was restarted or the stream is too old: what was saved of the answer is all there is.
    if (attached && error.code === 'not_found') {
      this.set({ messages: this.closed(id), status: 'idle' });
      this.save();
      return;
    }
    const messages = this.withMessage(id, { finish: 'error', error: error.toJSON() });
    this.set({ messages, status: 'error', error, promptProgress: null });
    this.save();
    this.options.onError?.(error);
  }

  private closed(id: string): ChatMessage[] {
    return this.withMessage(id, { finish: 'cancelled' }).filter(
      (message) => message.id !== id || message.content !== '',
    );
  }

  private withMessage(id: string, change: Partial<ChatMessage>): ChatMessage[] {
    return this.state.messages.map((message) =>
      message.id === id ? { ...message, ...change } : message,
    );
  }
}

/** Tokens per second since the first piece, which after an attach holds all there was before. */
class Meter {
  private began = 0;
  private tokens = 0;

  count(tokens: number): void {
    if (this.began) this.tokens += tokens;
    else this.began = performance.now();
  }

  get rate(): number | null {
    const seconds = (performance.now() - this.began) / 1000;
    return this.tokens && seconds > 0 ? this.tokens / seconds : null;
  }
}
