import Database from '@tauri-apps/plugin-sql';
import type { Conversation, Failure, Message, MessageStatus, Role, Stats } from './types';

/** The same name as in src-tauri/src/main.rs, where the tables are made. */
const NAME = 'sqlite:chats.db';

let opened: Promise<Database> | null = null;

async function db(): Promise<Database> {
  opened ??= Database.load(NAME);
  try {
    return await opened;
  } catch (error) {
    opened = null;
    throw error;
  }
}

async function select<T>(query: string, values: unknown[] = []): Promise<T[]> {
  return (await db()).select<T[]>(query, values);
}

async function execute(query: string, values: unknown[] = []): Promise<void> {
  await (await db()).execute(query, values);
}

interface ConversationRow {
  id: string;
  title: string;
  named: number;
  head: string | null;
  created_at: number;
  updated_at: number;
}

interface MessageRow {
  id: string;
  conversation: string;
  parent: string | null;
  role: Role;
  text: string;
  reasoning: string;
  status: MessageStatus;
  model: string | null;
  stream: string | null;
  error: string | null;
  stats: string | null;
  created_at: number;
}

function fromJson(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const conversationOf = (row: ConversationRow): Conversation => ({
  id: row.id,
  title: row.title,
  named: row.named !== 0,
  head: row.head,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

const messageOf = (row: MessageRow): Message => ({
  id: row.id,
  conversation: row.conversation,
  parent: row.parent,
  role: row.role,
  text: row.text,
  reasoning: row.reasoning,
  status: row.status,
  model: row.model,
  stream: row.stream,
  error: fromJson(row.error) as Failure | null,
  stats: fromJson(row.stats) as Stats | null,
  createdAt: row.created_at,
});

export async function conversations(): Promise<Conversation[]> {
  const rows = await select<ConversationRow>(
    'SELECT * FROM conversations ORDER BY updated_at DESC',
  );
  return rows.map(conversationOf);
}

export async function addConversation(c: Conversation): Promise<void> {
  await execute(
    'INSERT INTO conversations (id, title, named, head, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)',
    [c.id, c.title, c.named ? 1 : 0, c.head, c.createdAt, c.updatedAt],
  );
}

export async function renameConversation(id: string, title: string): Promise<void> {
  await execute('UPDATE conversations SET title = $1, named = 1 WHERE id = $2', [title, id]);
}

export async function setHead(id: string, head: string | null, updatedAt: number): Promise<void> {
  await execute('UPDATE conversations SET head = $1, updated_at = $2 WHERE id = $3', [
    head,
    updatedAt,
    id,
  ]);
}

export async function removeConversation(id: string): Promise<void> {
  await execute('DELETE FROM messages WHERE conversation = $1', [id]);
  await execute('DELETE FROM conversations WHERE id = $1', [id]);
}

export async function messages(conversation: string): Promise<Message[]> {
  const rows = await select<MessageRow>(
    'SELECT * FROM messages WHERE conversation = $1 ORDER BY created_at, id',
    [conversation],
  );
  return rows.map(messageOf);
}

/** Answers that were being written when the page or the app ended. */
export async function runningMessages(): Promise<Message[]> {
  const rows = await select<MessageRow>("SELECT * FROM messages WHERE status = 'running'");
  return rows.map(messageOf);
}

export async function addMessage(m: Message): Promise<void> {
  await execute(
    'INSERT INTO messages (id, conversation, parent, role, text, reasoning, status, model, stream, error, stats, created_at) ' +
      'VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)',
    [
      m.id,
      m.conversation,
      m.parent,
      m.role,
      m.text,
      m.reasoning,
      m.status,
      m.model,
      m.stream,
      m.error && JSON.stringify(m.error),
      m.stats && JSON.stringify(m.stats),
      m.createdAt,
    ],
  );
}

/** Everything of a message that changes while it is written. */
export async function saveMessage(m: Message): Promise<void> {
  await execute(
    'UPDATE messages SET text = $1, reasoning = $2, status = $3, model = $4, stream = $5, error = $6, stats = $7 WHERE id = $8',
    [
      m.text,
      m.reasoning,
      m.status,
      m.model,
      m.stream,
      m.error && JSON.stringify(m.error),
      m.stats && JSON.stringify(m.stats),
      m.id,
    ],
  );
}

export interface Hit {
  conversation: string;
  /** The text around the first place found; empty when only the title fits. */
  excerpt: string;
}

/** LIKE with every character taken as itself. */
export function likePattern(text: string): string {
  return `%${text.replace(/[\\%_]/g, (c) => `\\${c}`)}%`;
}

/** Conversations whose title or messages hold `text`, newest first. Letter case is ignored for ASCII only, as LIKE does. */
export async function search(text: string): Promise<Hit[]> {
  const rows = await select<{ id: string; text: string | null }>(
    'SELECT c.id, m.text FROM conversations c ' +
      "LEFT JOIN messages m ON m.conversation = c.id AND m.text LIKE $1 ESCAPE '\\' " +
      "WHERE m.id IS NOT NULL OR c.title LIKE $1 ESCAPE '\\' " +
      'GROUP BY c.id ORDER BY c.updated_at DESC LIMIT 100',
    [likePattern(text)],
  );
  return rows.map((row) => ({
    conversation: row.id,
    excerpt: row.text === null ? '' : excerpt(row.text, text),
  }));
}

export function excerpt(text: string, wanted: string): string {
  const at = Math.max(0, text.toLowerCase().indexOf(wanted.toLowerCase()));
  const start = Math.max(0, at - 30);
  const end = Math.min(text.length, at + wanted.length + 60);
  const cut = text.slice(start, end).replace(/\s+/g, ' ').trim();
  return `${start > 0 ? '…' : ''}${cut}${end < text.length ? '…' : ''}`;
}
