import { IngleError } from './errors.js';
import type { StreamEvent } from './types.js';

/** From this many waiting messages on, a slow reader's pieces of text are joined. None is lost. */
const JOIN_FROM = 256;

type Piece = Extract<StreamEvent, { event: 'text' | 'reasoning' }>;

function isPiece(event: StreamEvent | undefined): event is Piece {
  return event?.event === 'text' || event?.event === 'reasoning';
}

/* Two neighbours as one message that bears the later `seq`, or null if they do not join. */
function join(last: StreamEvent | undefined, next: StreamEvent): StreamEvent | null {
  if (isPiece(last) && isPiece(next) && last.event === next.event)
    return {
      event: next.event,
      data: {
        seq: next.data.seq,
        text: last.data.text + next.data.text,
        tokens: last.data.tokens + next.data.tokens,
      },
    };
  if (last?.event === 'progress' && next.event === 'progress') return next;
  return null;
}

interface Waiter {
  resolve: (result: IteratorResult<StreamEvent, undefined>) => void;
  reject: (error: IngleError) => void;
}

/** One consumer's place in a stream. */
export class Reader implements AsyncIterableIterator<StreamEvent, undefined> {
  private readonly waiting: Waiter[] = [];
  private ended = false;
  private error: IngleError | undefined;

  constructor(
    private queue: StreamEvent[],
    private readonly onReturn: (reader: Reader) => void,
  ) {}

  push(event: StreamEvent): void {
    if (this.ended) return;
    const waiter = this.waiting.shift();
    if (waiter) {
      waiter.resolve({ done: false, value: event });
      return;
    }
    const last = this.queue.length - 1;
    const joined = this.queue.length >= JOIN_FROM ? join(this.queue[last], event) : null;
    if (joined) this.queue[last] = joined;
    else this.queue.push(event);
  }

  end(error?: IngleError): void {
    if (this.ended) return;
    this.ended = true;
    this.error = error;
    for (const waiter of this.waiting.splice(0)) {
      if (!error) waiter.resolve({ done: true, value: undefined });
      else waiter.reject(error);
    }
  }

  next(): Promise<IteratorResult<StreamEvent, undefined>> {
    const event = this.queue.shift();
    if (event) return Promise.resolve({ done: false, value: event });
    if (this.ended && this.error) return Promise.reject(this.error);
    if (this.ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<StreamEvent, undefined>> {
    this.queue = [];
    this.error = undefined;
    this.end();
    this.onReturn(this);
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/**
 * Hands every message to every reader. A reader that comes late first gets what has been, with
 * neighbouring pieces of text joined, so that the log of a long answer stays short.
 */
export class EventLog {
  private readonly history: StreamEvent[] = [];
  private readonly readers = new Set<Reader>();
  private started = false;
  private ended = false;
  private error: IngleError | undefined;

  /** @param keep whether late readers are served; without it memory stays flat. */
  constructor(private readonly keep: boolean) {}

  push(event: StreamEvent): void {
    this.started = true;
    if (this.keep) {
      const last = this.history.length - 1;
      const joined = join(this.history[last], event);
      if (joined) this.history[last] = joined;
      else this.history.push(event);
    }
    for (const reader of this.readers) reader.push(event);
  }

  end(error?: IngleError): void {
    this.ended = true;
    this.error = error;
    for (const reader of this.readers) reader.end(error);
    this.readers.clear();
  }

  /** @param onLast called when the last reader leaves before the end. */
  read(onLast: () => void): Reader {
    if (!this.keep && this.started)
      throw new IngleError(
        'bad_argument',
        'this stream keeps no history, and part of it has gone by',
        'start reading at once, or leave out `collect: false`',
      );
    const reader = new Reader([...this.history], (left) => {
      if (this.readers.delete(left) && this.readers.size === 0 && !this.ended) onLast();
    });
    if (this.ended) reader.end(this.error);
    else this.readers.add(reader);
    return reader;
  }
}
