import type { Message } from './types';

/** From the first message to `head`. Stops at a message that is missing or seen before. */
export function branch(messages: readonly Message[], head: string | null): Message[] {
  const byId = new Map(messages.map((m) => [m.id, m]));
  const path: Message[] = [];
  const seen = new Set<string>();
  for (let id = head; id !== null && !seen.has(id);) {
    const message = byId.get(id);
    if (!message) break;
    seen.add(id);
    path.push(message);
    id = message.parent;
  }
  return path.reverse();
}

/** All versions of a message, oldest first: the messages with the same parent. */
export function versions(messages: readonly Message[], message: Message): Message[] {
  return messages
    .filter((m) => m.parent === message.parent && m.role === message.role)
    .sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
}

/** The newest end of the conversation below `id`: where to stand after switching to another version. */
export function newestLeaf(messages: readonly Message[], id: string): string {
  const seen = new Set<string>();
  for (;;) {
    seen.add(id);
    const child = messages
      .filter((m) => m.parent === id && !seen.has(m.id))
      .reduce<Message | null>((a, b) => (a === null || b.createdAt >= a.createdAt ? b : a), null);
    if (!child) return id;
    id = child.id;
  }
}

export interface PromptMessage {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

/**
 * What the model is given. Answers that never came are left out, and questions left alone by that are joined:
 * many chat templates refuse two questions in a row. Reasoning is not sent back.
 */
export function prompt(path: readonly Message[], system: string): PromptMessage[] {
  const out: PromptMessage[] = [];
  if (system.trim()) out.push({ role: 'system', content: system.trim() });
  for (const { role, text } of path) {
    if (!text.trim()) continue;
    const last = out.at(-1);
    if (last && last.role === role) last.content += `\n\n${text}`;
    else out.push({ role, content: text });
  }
  return out;
}

/** The first line of the first question, cut at a word. */
export function titleOf(text: string): string {
  const line = text.trim().split('\n')[0]?.replace(/\s+/g, ' ').trim() ?? '';
  if (line.length <= 60) return line || 'New chat';
  const cut = line.slice(0, 60);
  const space = cut.lastIndexOf(' ');
  return `${space > 30 ? cut.slice(0, space) : cut}…`;
}
