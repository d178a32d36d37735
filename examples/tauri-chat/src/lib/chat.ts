import * as db from './db';
import { failureOf } from './errors';
import { newId } from './id';
import * as ingle from 'tauri-plugin-ingle-api';
import { beginLive, endLive, follow, live, setLive } from './live';
import { loadModel, models, refreshModels } from './models';
import { settings } from './settings';
import { Store } from './store';
import { branch, newestLeaf, prompt, titleOf } from './tree';
import type { Conversation, Failure, Message } from './types';

interface Chat {
  ready: boolean;
  conversations: Conversation[];
  /** The conversation that is shown; null is a new one. */
  current: string | null;
  /** Every message of the current conversation, all branches. */
  messages: Message[];
  /** When the history cannot be read or written. */
  error: Failure | null;
}

export const chat = new Store<Chat>({
  ready: false,
  conversations: [],
  current: null,
  messages: [],
  error: null,
});

/** Streams that can be cancelled, by message id. */
const streams = new Map<string, { cancel: () => void; done: Promise<void> }>();

const LAST = 'conversation';

async function guarded<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    chat.set({ error: failureOf(error) });
    return undefined;
  }
}

/** Reads the history, takes up the streams that still run and opens the conversation that was open. */
export async function start(): Promise<void> {
  chat.set({ error: null });
  await guarded(
    (async () => {
      chat.set({ conversations: await db.conversations() });
      await takeUp();
      const last = localStorage.getItem(LAST);
      if (last !== null && chat.value.conversations.some((c) => c.id === last)) await open(last);
    })(),
  );
  chat.set({ ready: true });
}

async function takeUp(): Promise<void> {
  const running = await db.runningMessages();
  if (running.length === 0) return;
  const known = new Set((await ingle.listStreams().catch(() => [])).map((s) => s.stream));
  for (const message of running) {
    if (message.stream !== null && known.has(message.stream)) {
      beginLive(message.id, message.conversation);
      setLive(message.id, { phase: 'reading', text: message.text, reasoning: message.reasoning });
      write(message, ingle.attach(message.stream));
    } else {
      await db.saveMessage({ ...message, status: 'interrupted', stream: null });
    }
  }
}

export function conversation(): Conversation | undefined {
  return chat.value.conversations.find((c) => c.id === chat.value.current);
}

export function path(): Message[] {
  return branch(chat.value.messages, conversation()?.head ?? null);
}

export async function open(id: string | null): Promise<void> {
  if (id === null) localStorage.removeItem(LAST);
  else localStorage.setItem(LAST, id);
  const messages = id === null ? [] : await guarded(db.messages(id));
  if (messages) chat.set({ current: id, messages, error: null });
}

function touch(id: string, part: Partial<Conversation>): void {
  const conversations = chat.value.conversations
    .map((c) => (c.id === id ? { ...c, ...part } : c))
    .sort((a, b) => b.updatedAt - a.updatedAt);
  chat.set({ conversations });
}

function replace(message: Message): void {
  if (chat.value.current !== message.conversation) return;
  chat.set({ messages: chat.value.messages.map((m) => (m.id === message.id ? message : m)) });
}

function blank(conversation: string, parent: string | null): Message {
  return {
    id: newId(),
    conversation,
    parent,
    role: 'assistant',
    text: '',
    reasoning: '',
    status: 'running',
    model: null,
    stream: null,
    error: null,
    stats: null,
    createdAt: Date.now(),
  };
}

async function append(message: Message): Promise<void> {
  await db.addMessage(message);
  await db.setHead(message.conversation, message.id, message.createdAt);
  if (chat.value.current === message.conversation)
    chat.set({ messages: [...chat.value.messages, message] });
  touch(message.conversation, { head: message.id, updatedAt: message.createdAt });
}

async function begin(text: string): Promise<Conversation> {
  const now = Date.now();
  const made: Conversation = {
    id: newId(),
    title: titleOf(text),
    named: false,
    head: null,
    createdAt: now,
    updatedAt: now,
  };
  await db.addConversation(made);
  localStorage.setItem(LAST, made.id);
  chat.set({
    conversations: [made, ...chat.value.conversations],
    current: made.id,
    messages: [],
    error: null,
  });
  return made;
}

/** Asks a question at the end of the conversation that is shown. */
export async function send(text: string): Promise<void> {
  await guarded(
    (async () => {
      const to = conversation() ?? (await begin(text));
      await ask(to, to.head, text);
    })(),
  );
}

async function ask(to: Conversation, parent: string | null, text: string): Promise<void> {
  const question: Message = { ...blank(to.id, parent), role: 'user', text, status: 'done' };
  await append(question);
  await answer(question);
}

/** Puts an edited question beside the old one and answers it. */
export async function edit(message: Message, text: string): Promise<void> {
  const to = conversation();
  if (to) await guarded(ask(to, message.parent, text));
}

/** Puts another answer beside this one. */
export async function regenerate(message: Message): Promise<void> {
  const question = chat.value.messages.find((m) => m.id === message.parent);
  if (question) await guarded(answer(question));
}

async function answer(question: Message): Promise<void> {
  const { model } = settings.value;
  const message = { ...blank(question.conversation, question.id), model };
  const before = branch(chat.value.messages, question.id);
  // Set before anything is awaited, so that Stop works from the moment it is shown.
  const wish = { cancelled: false };
  streams.set(message.id, { cancel: () => (wish.cancelled = true), done: Promise.resolve() });
  beginLive(message.id, message.conversation);
  await append(message);
  if (model === null) {
    const error = {
      code: 'not_loaded',
      message: 'No model is chosen.',
      hint: 'Choose or download a model.',
    };
    return finish({ ...message, status: 'error', error });
  }
  try {
    if (!(model in models.value.loaded)) await loadModel(model);
  } catch (error) {
    return finish({ ...message, status: 'error', error: failureOf(error) });
  }
  if (wish.cancelled) return finish({ ...message, status: 'stopped' });
  setLive(message.id, { phase: 'reading' });
  const { systemPrompt, temperature, topP, maxTokens, seed } = settings.value;
  write(
    message,
    ingle.chat({
      model,
      messages: prompt(before, systemPrompt),
      temperature,
      topP,
      ...(maxTokens > 0 && { maxTokens }),
      ...(seed !== null && { seed }),
    }),
  );
}

/** Follows a stream into a message, in the background. */
function write(message: Message, stream: ingle.ChatStream): void {
  let latest = message;
  const done = (async () => {
    try {
      const outcome = await follow(
        message.id,
        stream,
        (id) => {
          latest = { ...latest, stream: id };
          void guarded(db.saveMessage(latest));
        },
        (text, reasoning) => {
          latest = { ...latest, text, reasoning };
          void guarded(db.saveMessage(latest));
        },
      );
      latest = { ...latest, ...outcome };
    } catch (error) {
      const shown = live.value.answers[message.id];
      latest = {
        ...latest,
        text: shown?.text ?? latest.text,
        reasoning: shown?.reasoning ?? latest.reasoning,
        status: 'error',
        error: failureOf(error),
      };
    }
    await finish({ ...latest, stream: null });
  })();
  streams.set(message.id, { cancel: () => void stream.cancel(), done });
}

async function finish(message: Message): Promise<void> {
  streams.delete(message.id);
  replace(message);
  endLive(message.id);
  await guarded(db.saveMessage(message));
  // The engine may have loaded or lost a model meanwhile.
  void refreshModels();
}

/** The answer that is being written in the shown conversation. */
export function runningHere(): string | null {
  const { current } = chat.value;
  const found = Object.entries(live.value.answers).find(([, a]) => a.conversation === current);
  return found && current !== null ? found[0] : null;
}

export function stop(): void {
  const id = runningHere();
  if (id !== null) streams.get(id)?.cancel();
}

/** Shows another version of a message, and what came after it. */
export async function show(message: Message): Promise<void> {
  const head = newestLeaf(chat.value.messages, message.id);
  const now = conversation()?.updatedAt ?? Date.now();
  touch(message.conversation, { head });
  await guarded(db.setHead(message.conversation, head, now));
}

export async function rename(id: string, title: string): Promise<void> {
  const trimmed = title.trim();
  if (!trimmed) return;
  touch(id, { title: trimmed, named: true });
  await guarded(db.renameConversation(id, trimmed));
}

export async function remove(id: string): Promise<void> {
  const writing = Object.entries(live.value.answers).filter(([, a]) => a.conversation === id);
  for (const [message] of writing) {
    const stream = streams.get(message);
    stream?.cancel();
    await stream?.done;
  }
  await guarded(db.removeConversation(id));
  chat.set({ conversations: chat.value.conversations.filter((c) => c.id !== id) });
  if (chat.value.current === id) await open(null);
}
