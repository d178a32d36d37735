import { mockIPC } from '@tauri-apps/api/mocks';
import initSqlJs from 'sql.js';
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import {
  chat,
  edit,
  open,
  path,
  regenerate,
  remove,
  rename,
  send,
  show,
  start,
  stop,
} from '../../src/lib/chat';
import * as db from '../../src/lib/db';
import { live } from '../../src/lib/live';
import { resetModels } from '../../src/lib/models';
import { change, DEFAULTS } from '../../src/lib/settings';
import { sender, type Args, type Commands, type Sender } from '../../src/mock/ipc';
import { databaseCommands } from '../../src/mock/sql';

const migration = readFileSync('src-tauri/migrations/1_conversations.sql', 'utf8');

interface Request {
  model: string;
  messages: { role: string; content: string }[];
  temperature: number;
  maxTokens?: number;
  seed?: number;
}

/** One stream as the Rust side holds it: the test says what happens. */
interface Job {
  id: string;
  request: Request | null;
  to: Sender;
  seq: number;
}

const jobs: Job[] = [];
let cancelled: string[] = [];
let known: string[] = [];

function say(job: Job, event: string, data: object): void {
  job.to.send({ event, data: { seq: ++job.seq, ...data } });
}
const begin = (job: Job) => say(job, 'started', { stream: job.id, model: 'tiny' });
const text = (job: Job, piece: string) => say(job, 'text', { text: piece, tokens: 1 });
const done = (job: Job, finish = 'stop') =>
  say(job, 'done', {
    finish,
    usage: { promptTokens: 5, cachedTokens: 0, outputTokens: 2 },
    timings: { promptSeconds: 0.1, outputSeconds: 0.2, tokensPerSecond: 10 },
  });

const ingle: Commands = {
  'plugin:ingle|list_models': () => [],
  'plugin:ingle|load_model': ({ model }) => ({
    id: model,
    name: model,
    path: '/m',
    device: 'cpu',
    loadSeconds: 0,
    info: { context: 8192 },
  }),
  'plugin:ingle|chat': ({ request, onEvent }) => {
    const job = { id: `s${jobs.length}`, request: request as Request, to: sender(onEvent), seq: 0 };
    jobs.push(job);
    return { stream: job.id };
  },
  'plugin:ingle|attach': ({ stream, onEvent }) => {
    jobs.push({ id: String(stream), request: null, to: sender(onEvent), seq: 0 });
    return { stream, running: true };
  },
  'plugin:ingle|cancel': ({ stream }) => {
    cancelled.push(String(stream));
    const job = jobs.find((j) => j.id === stream);
    if (job) done(job, 'cancelled');
    return null;
  },
  'plugin:ingle|list_streams': () =>
    known.map((stream) => ({
      stream,
      model: 'tiny',
      kind: 'chat',
      running: true,
      seq: 3,
      startedAt: 0,
    })),
};

beforeEach(async () => {
  jobs.length = 0;
  cancelled = [];
  known = [];
  const sql = await initSqlJs();
  const database = new sql.Database();
  database.run(migration);
  const commands = { ...ingle, ...databaseCommands(database, () => undefined) };
  mockIPC((name, args) => {
    const command = commands[name];
    if (!command) throw new Error(`no command ${name}`);
    return command((args ?? {}) as Args);
  });
  resetModels();
  change({ ...DEFAULTS, model: 'tiny' });
  live.set({ answers: {} });
  chat.set({ ready: false, conversations: [], current: null, messages: [], error: null });
});

const job = async (n: number): Promise<Job> => {
  await vi.waitFor(() => expect(jobs.length).toBeGreaterThan(n));
  const found = jobs[n];
  if (!found) throw new Error('no job');
  return found;
};
const settled = () => vi.waitFor(() => expect(Object.keys(live.value.answers)).toEqual([]));
const texts = () => path().map((m) => m.text);

async function answered(question: string, answer: string): Promise<void> {
  const n = jobs.length;
  const sending = send(question);
  const j = await job(n);
  await sending;
  begin(j);
  text(j, answer);
  done(j);
  await settled();
}

describe('send', () => {
  it('makes a conversation, streams the answer and keeps both', async () => {
    change({ systemPrompt: 'Be brief.', temperature: 0.3, seed: 9, maxTokens: 0 });
    await send('What is up?');
    const j = await job(0);
    expect(j.request).toEqual({
      model: 'tiny',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'What is up?' },
      ],
      temperature: 0.3,
      topP: 0.95,
      seed: 9,
    });
    begin(j);
    text(j, 'The ');
    text(j, 'sky.');
    await vi.waitFor(() => expect(Object.values(live.value.answers)[0]?.text).toBe('The sky.'));
    done(j);
    await settled();
    expect(texts()).toEqual(['What is up?', 'The sky.']);
    const id = chat.value.current ?? '';
    const stored = await db.messages(id);
    expect(stored.map((m) => [m.text, m.status])).toEqual([
      ['What is up?', 'done'],
      ['The sky.', 'done'],
    ]);
    expect(stored[1]?.stats?.outputTokens).toBe(2);
    expect(stored[1]?.stream).toBeNull();
    expect(chat.value.conversations[0]?.title).toBe('What is up?');
  });

  it('sends the whole branch the second time', async () => {
    await answered('one', 'eins');
    await send('two');
    const j = await job(1);
    expect(j.request?.messages.map((m) => m.content)).toEqual(['one', 'eins', 'two']);
    begin(j);
    done(j);
    await settled();
  });

  it('shows an error of the stream in the answer', async () => {
    await send('x');
    const j = await job(0);
    begin(j);
    text(j, 'half');
    say(j, 'error', { code: 'crashed', message: 'gone', hint: 'try again' });
    await settled();
    const last = path().at(-1);
    expect(last).toMatchObject({
      status: 'error',
      text: 'half',
      error: { code: 'crashed', message: 'gone', hint: 'try again' },
    });
    expect((await db.messages(chat.value.current ?? ''))[1]?.error?.code).toBe('crashed');
  });

  it('says so when no model is chosen', async () => {
    change({ model: null });
    await send('x');
    expect(path().at(-1)).toMatchObject({ status: 'error', error: { code: 'not_loaded' } });
    expect(jobs).toHaveLength(0);
  });
});

describe('stop', () => {
  it('cancels the stream of the shown conversation and keeps the text', async () => {
    await send('x');
    const j = await job(0);
    begin(j);
    text(j, 'some');
    await vi.waitFor(() => expect(Object.values(live.value.answers)[0]?.text).toBe('some'));
    stop();
    await settled();
    expect(cancelled).toEqual(['s0']);
    expect(path().at(-1)).toMatchObject({ status: 'stopped', text: 'some' });
  });

  it('leaves the stream of another conversation alone', async () => {
    await send('x');
    const j = await job(0);
    begin(j);
    await open(null);
    stop();
    expect(cancelled).toEqual([]);
    text(j, 'goes on');
    done(j);
    await settled();
    await open(chat.value.conversations[0]?.id ?? null);
    expect(texts()).toEqual(['x', 'goes on']);
  });
});

describe('versions', () => {
  it('regenerating and editing keep the old branch', async () => {
    await answered('q', 'a');
    const first = path()[1];
    if (!first) throw new Error('no answer');
    const again = regenerate(first);
    const j = await job(1);
    await again;
    expect(j.request?.messages).toEqual([{ role: 'user', content: 'q' }]);
    begin(j);
    text(j, 'b');
    done(j);
    await settled();
    expect(texts()).toEqual(['q', 'b']);

    const question = path()[0];
    if (!question) throw new Error('no question');
    const editing = edit(question, 'q2');
    const k = await job(2);
    await editing;
    expect(k.request?.messages).toEqual([{ role: 'user', content: 'q2' }]);
    begin(k);
    text(k, 'c');
    done(k);
    await settled();
    expect(texts()).toEqual(['q2', 'c']);

    await show(first);
    expect(texts()).toEqual(['q', 'a']);
    await open(chat.value.current);
    expect(texts()).toEqual(['q', 'a']);
  });
});

describe('after a reload', () => {
  async function interrupted(): Promise<void> {
    await send('x');
    const j = await job(0);
    begin(j);
    text(j, 'half');
    // The id of the stream is in the table before the page goes.
    await vi.waitFor(async () => expect((await db.runningMessages())[0]?.stream).toBe('s0'));
    live.set({ answers: {} });
    chat.set({ ready: false, conversations: [], current: null, messages: [] });
  }

  it('takes up a stream that runs, from its beginning', async () => {
    await interrupted();
    known = ['s0'];
    await start();
    const j = await job(1);
    expect(j.id).toBe('s0');
    begin(j);
    text(j, 'half and ');
    text(j, 'whole');
    done(j);
    await settled();
    expect(texts()).toEqual(['x', 'half and whole']);
    expect(await db.runningMessages()).toEqual([]);
  });

  it('marks an answer whose stream is gone', async () => {
    await interrupted();
    await start();
    expect(path().at(-1)?.status).toBe('interrupted');
    expect(jobs).toHaveLength(1);
  });
});

describe('history', () => {
  it('renames, finds and removes', async () => {
    await answered('about apples', 'Apples are 100% fruit.');
    await open(null);
    await answered('about pears', 'Pears_too');
    const [pears, apples] = chat.value.conversations;
    if (!pears || !apples) throw new Error('not kept');
    expect((await db.search('100% f')).map((h) => h.conversation)).toEqual([apples.id]);
    expect((await db.search('100_')).length).toBe(0);
    expect((await db.search('s_t')).map((h) => h.conversation)).toEqual([pears.id]);
    expect((await db.search('PEARS')).length).toBe(1);
    await rename(apples.id, '  Fruit  ');
    await rename(pears.id, '   ');
    expect((await db.search('fruit'))[0]?.excerpt).toMatch(/100% fruit/);
    expect((await db.conversations()).map((c) => c.title).sort()).toEqual(['Fruit', 'about pears']);
    await remove(pears.id);
    expect(chat.value.current).toBeNull();
    expect(await db.messages(pears.id)).toEqual([]);
    expect(await db.conversations()).toHaveLength(1);
  });

  it('removes a conversation whose answer is being written', async () => {
    await send('x');
    begin(await job(0));
    await remove(chat.value.current ?? '');
    expect(cancelled).toEqual(['s0']);
    expect(chat.value.conversations).toEqual([]);
    expect(await db.runningMessages()).toEqual([]);
  });

  it('shows that the history cannot be read', async () => {
    mockIPC(() => {
      // tauri-plugin-sql rejects with a text.
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      throw 'unable to open database file';
    });
    await start();
    expect(chat.value.ready).toBe(true);
    expect(chat.value.error?.message).toBe('unable to open database file');
  });
});
