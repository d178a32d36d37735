import { useEffect, useState } from 'react';
import { newChat } from '../hooks/useShortcuts';
import { chat, open } from '../lib/chat';
import * as db from '../lib/db';
import { dayGroup } from '../lib/format';
import type { Conversation } from '../lib/types';
import { openSettings, ui } from '../lib/ui';
import { useStore } from '../lib/store';
import { ConversationItem } from './ConversationItem';
import { Icon } from './Icon';

export function Sidebar() {
  const conversations = useStore(chat, (s) => s.conversations);
  const current = useStore(chat, (s) => s.current);
  const [query, setQuery] = useState('');
  const hits = useSearch(query.trim());

  const choose = (id: string) => {
    ui.set({ drawer: false });
    void open(id);
  };
  const item = (c: Conversation, excerpt = '') => (
    <ConversationItem
      key={c.id}
      conversation={c}
      excerpt={excerpt}
      wanted={query.trim()}
      current={c.id === current}
      onOpen={() => choose(c.id)}
    />
  );
  return (
    <nav className="sidebar" aria-label="Conversations">
      <button
        type="button"
        className="new-chat"
        data-testid="new-chat"
        title="Ctrl+N"
        onClick={newChat}
      >
        <Icon name="plus" />
        New chat
      </button>
      <div className="search">
        <Icon name="search" />
        <input
          id="search"
          type="search"
          placeholder="Search"
          title="Ctrl+K"
          aria-label="Search conversations"
          data-testid="search"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Escape') return;
            event.preventDefault();
            setQuery('');
            event.currentTarget.blur();
          }}
        />
      </div>
      <div className="conversations">
        {hits ? (
          hits.length === 0 ? (
            <p className="empty">Nothing found.</p>
          ) : (
            <ul>
              {hits.map((hit) => {
                const c = conversations.find(({ id }) => id === hit.conversation);
                return c && item(c, hit.excerpt);
              })}
            </ul>
          )
        ) : conversations.length === 0 ? (
          <p className="empty">
            Your conversations will be listed here. They stay on this computer.
          </p>
        ) : (
          grouped(conversations).map(([day, list]) => (
            <section key={day}>
              <h2>{day}</h2>
              <ul>{list.map((c) => item(c))}</ul>
            </section>
          ))
        )}
      </div>
      <button
        type="button"
        className="settings-button"
        data-testid="settings-open"
        title="Ctrl+,"
        onClick={() => openSettings('general')}
      >
        <Icon name="settings" />
        Settings
      </button>
    </nav>
  );
}

function grouped(conversations: readonly Conversation[]): [string, Conversation[]][] {
  const now = Date.now();
  const groups = new Map<string, Conversation[]>();
  for (const c of conversations) {
    const day = dayGroup(c.updatedAt, now);
    groups.set(day, [...(groups.get(day) ?? []), c]);
  }
  return [...groups];
}

/** null while nothing is searched for. */
function useSearch(text: string): db.Hit[] | null {
  const [found, setFound] = useState<{ text: string; hits: db.Hit[] } | null>(null);
  useEffect(() => {
    if (!text) return;
    let stale = false;
    const timer = setTimeout(() => {
      db.search(text).then(
        (hits) => {
          if (!stale) setFound({ text, hits });
        },
        () => undefined,
      );
    }, 120);
    return () => {
      stale = true;
      clearTimeout(timer);
    };
  }, [text]);
  return text && found ? found.hits : null;
}
