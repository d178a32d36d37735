import type { ChatMessage, ChatOptions } from './chat-store.js';

export interface SavedChat {
  messages: ChatMessage[];
  /** The stream that writes the last message. */
  stream?: string;
}

function place(options: ChatOptions): { storage: ChatOptions['storage']; key: string } {
  const storage =
    options.storage === undefined && typeof sessionStorage !== 'undefined'
      ? sessionStorage
      : options.storage;
  return { storage, key: `ingle-chat:${options.id ?? 'chat'}` };
}

export function saveChat(options: ChatOptions, chat: SavedChat): void {
  const { storage, key } = place(options);
  try {
    if (chat.messages.length) storage?.setItem(key, JSON.stringify(chat));
    else storage?.removeItem(key);
  } catch {
    // The storage is full or forbidden. The chat goes on; only a reload will not find it.
  }
}

export function loadChat(options: ChatOptions): SavedChat | null {
  const { storage, key } = place(options);
  try {
    const saved = JSON.parse(storage?.getItem(key) ?? 'null') as SavedChat | null;
    return Array.isArray(saved?.messages) ? saved : null;
  } catch {
    return null;
  }
}
