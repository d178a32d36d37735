import { Refusal, scenario, sender, type Commands, type Sender } from './ipc';
import { ANSWER, THOUGHTS } from './text';

/** A stream is its beginning and its text; what has come so far follows from the clock, also after a reload. */
interface Stream {
  stream: string;
  model: string;
  startedAt: number;
  stoppedAt: number | null;
  thoughts: string;
  answer: string;
}

const KEY = 'mock-streams';
const TOKENS_PER_SECOND = scenario === 'slow' ? 8 : 60;
const WAIT = 250;

const streams: Stream[] = JSON.parse(sessionStorage.getItem(KEY) ?? '[]') as Stream[];
const keep = () => sessionStorage.setItem(KEY, JSON.stringify(streams));

const pieces = (text: string): string[] => text.match(/\s*\S+|\s+$/g) ?? [];

function tokensAt(s: Stream, now: number): number {
  return Math.max(
    0,
    Math.floor((((s.stoppedAt ?? now) - s.startedAt - WAIT) / 1000) * TOKENS_PER_SECOND),
  );
}

/** Sends everything from the start, then the rest as it comes. */
function play(s: Stream, to: Sender): void {
  const thoughts = pieces(s.thoughts);
  const answer = pieces(s.answer);
  const total = thoughts.length + answer.length;
  const promptTokens = 24;
  let seq = 0;
  let sent = 0;
  const send = (event: string, data: object) => to.send({ event, data: { seq: ++seq, ...data } });
  send('started', { stream: s.stream, model: s.model });
  send('progress', { done: promptTokens, total: promptTokens });

  const tick = () => {
    const upto = Math.min(total, tokensAt(s, Date.now()));
    while (sent < upto) {
      const thinking = sent < thoughts.length;
      const end = thinking ? Math.min(upto, thoughts.length) : upto;
      const text = thinking
        ? thoughts.slice(sent, end).join('')
        : answer.slice(sent - thoughts.length, end - thoughts.length).join('');
      send(thinking ? 'reasoning' : 'text', { text, tokens: end - sent });
      sent = end;
    }
    if (sent < total && s.stoppedAt === null) return;
    clearInterval(timer);
    if (scenario === 'nomemory') {
      send('error', {
        code: 'no_memory',
        message: 'The context of 4096 tokens needs 448 MB, and 210 MB are free.',
        hint: 'Free memory, choose a smaller model, or set a smaller context.',
      });
      return;
    }
    send('done', {
      finish: s.stoppedAt === null ? 'stop' : 'cancelled',
      usage: { promptTokens, cachedTokens: 0, outputTokens: sent },
      timings: {
        promptSeconds: 0.2,
        outputSeconds: sent / TOKENS_PER_SECOND,
        tokensPerSecond: TOKENS_PER_SECOND,
      },
    });
  };
  const timer = setInterval(tick, 16);
}

interface ChatArgs {
  model?: string;
  messages: { role: string; content: string }[];
}

export const streamCommands: Commands = {
  'plugin:ingle|chat': ({ request, onEvent }) => {
    const { model, messages } = request as ChatArgs;
    const question = messages.at(-1)?.content ?? '';
    if (/too long/i.test(question))
      throw new Refusal(
        'limit',
        'The prompt has 5210 tokens and the context holds 4096.',
        'Start a new conversation, or raise the context in the settings.',
      );
    const s: Stream = {
      stream: `stream-${Date.now()}`,
      model: model ?? 'smollm2',
      startedAt: Date.now(),
      stoppedAt: null,
      thoughts: /think/i.test(question) ? THOUGHTS : '',
      answer:
        scenario === 'nomemory'
          ? ''
          : /short/i.test(question)
            ? `You said: **${question}**`
            : ANSWER,
    };
    streams.push(s);
    keep();
    const to = sender(onEvent);
    setTimeout(() => play(s, to), 0);
    return { stream: s.stream };
  },
  'plugin:ingle|attach': ({ stream, onEvent }) => {
    const s = streams.find((x) => x.stream === stream);
    if (!s) throw new Refusal('not_found', `There is no stream ${String(stream)}.`);
    const to = sender(onEvent);
    setTimeout(() => play(s, to), 0);
    return { stream, running: true };
  },
  'plugin:ingle|cancel': ({ stream }) => {
    const s = streams.find((x) => x.stream === stream);
    if (s) s.stoppedAt = Date.now();
    keep();
    return null;
  },
  'plugin:ingle|list_streams': () =>
    streams.map((s) => ({
      stream: s.stream,
      model: s.model,
      kind: 'chat',
      running: true,
      seq: 0,
      startedAt: s.startedAt,
    })),
};
