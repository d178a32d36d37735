import { oncePerFrame } from './frames';
import type { StreamEvent } from 'tauri-plugin-ingle-api';
import { Store } from './store';
import type { Live, MessageStatus, Stats } from './types';

/** Answers that are being written, by message id. */
export const live = new Store<{ answers: Record<string, Live> }>({ answers: {} });

export function setLive(id: string, part: Partial<Live>): void {
  const old = live.value.answers[id];
  if (old) live.set({ answers: { ...live.value.answers, [id]: { ...old, ...part } } });
}

export function beginLive(id: string, conversation: string): void {
  live.set({
    answers: {
      ...live.value.answers,
      [id]: {
        conversation,
        phase: 'loading',
        progress: 0,
        text: '',
        reasoning: '',
        tokens: 0,
        promptTokens: 0,
        tokensPerSecond: null,
      },
    },
  });
}

export function endLive(id: string): void {
  const answers = { ...live.value.answers };
  Reflect.deleteProperty(answers, id);
  live.set({ answers });
}

export interface Outcome {
  text: string;
  reasoning: string;
  status: MessageStatus;
  stats: Stats | null;
}

const STATUS: Record<string, MessageStatus> = {
  stop: 'done',
  length: 'length',
  cancelled: 'stopped',
};

/**
 * Reads a stream to its end and shows it as it grows, at most once per frame. `onStart` learns the id of the stream,
 * `onSave` gets the text so far now and then. Throws what the stream throws.
 */
export async function follow(
  id: string,
  events: AsyncIterable<StreamEvent>,
  onStart: (stream: string) => void,
  onSave: (text: string, reasoning: string) => void,
  saveEvery = 2000,
): Promise<Outcome> {
  let text = '';
  let reasoning = '';
  let tokens = 0;
  let first: { at: number; tokens: number } | null = null;
  let savedAt = performance.now();
  const show = oncePerFrame(() => {
    const seconds = first ? (performance.now() - first.at) / 1000 : 0;
    // The first message took no time, and after an attach it holds all there was before.
    const counted = tokens - (first?.tokens ?? 0);
    setLive(id, {
      phase: 'writing',
      text,
      reasoning,
      tokens,
      // Too early and the number jumps about.
      tokensPerSecond: seconds > 0.4 && counted > 0 ? counted / seconds : null,
    });
  });
  const end = (status: MessageStatus, stats: Stats | null): Outcome => ({
    text,
    reasoning,
    status,
    stats,
  });
  try {
    for await (const event of events) {
      switch (event.event) {
        case 'started':
          onStart(event.data.stream);
          break;
        case 'progress':
          setLive(id, {
            phase: 'reading',
            promptTokens: event.data.total,
            progress: event.data.total > 0 ? event.data.done / event.data.total : 0,
          });
          break;
        case 'text':
        case 'reasoning': {
          if (event.event === 'text') text += event.data.text;
          else reasoning += event.data.text;
          tokens += event.data.tokens;
          first ??= { at: performance.now(), tokens };
          show.ask();
          const now = performance.now();
          if (now - savedAt > saveEvery) {
            savedAt = now;
            onSave(text, reasoning);
          }
          break;
        }
        case 'done':
          return end(STATUS[event.data.finish] ?? 'done', {
            ...event.data.usage,
            ...event.data.timings,
          });
      }
    }
    return end('interrupted', null);
  } finally {
    // What came last is shown, however it ended.
    show.now();
  }
}
