import { useEffect, useState, useSyncExternalStore } from 'react';
import { ChatStore, type ChatMessage, type ChatOptions, type ChatState } from './chat-store.js';

export interface UseChat extends ChatState {
  /** Text, reasoning and speed of the newest answer, for short. */
  reasoning: string;
  /** True from sending to the end of the answer. */
  busy: boolean;
  send: (text: string) => Promise<void>;
  stop: () => Promise<void>;
  regenerate: (id?: string) => Promise<void>;
  edit: (id: string, text: string) => Promise<void>;
  clear: () => Promise<void>;
  setMessages: (messages: ChatMessage[]) => void;
}

/**
 * A conversation. Errors are in `error` and in the message that failed; the promises resolve when
 * the answer has ended. Survives a reload of the page in the middle of an answer.
 */
export function useChat(options: ChatOptions = {}): UseChat {
  const [store] = useState(() => new ChatStore(options));
  useEffect(() => {
    store.configure(options);
  });
  useEffect(() => {
    store.connect();
    window.addEventListener('pagehide', store.save);
    return () => {
      window.removeEventListener('pagehide', store.save);
      store.disconnect();
    };
  }, [store]);
  const state = useSyncExternalStore(store.subscribe, store.snapshot, store.snapshot);
  const { send, stop, regenerate, edit, clear, setMessages } = store;
  return {
    ...state,
    reasoning: state.messages.at(-1)?.reasoning ?? '',
    busy: state.status === 'submitted' || state.status === 'streaming',
    send,
    stop,
    regenerate,
    edit,
    clear,
    setMessages,
  };
}
