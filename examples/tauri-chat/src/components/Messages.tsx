import { memo } from 'react';
import { useAutoscroll } from '../hooks/useAutoscroll';
import { chat } from '../lib/chat';
import { branch, versions } from '../lib/tree';
import type { Message } from '../lib/types';
import { useStore } from '../lib/store';
import { Answer } from './Answer';
import { Icon } from './Icon';
import { Question } from './Question';

export function Messages() {
  const messages = useStore(chat, (s) => s.messages);
  const current = useStore(chat, (s) => s.current);
  const head = useStore(chat, (s) => s.conversations.find((c) => c.id === s.current)?.head ?? null);
  const path = branch(messages, head);
  const last = path.at(-1);
  // A new question goes to the end; switching between old versions stays where it is.
  const asked = last?.status === 'running' ? last.id : current;
  const { box, content, away, toEnd } = useAutoscroll(asked);
  return (
    <div className="messages-frame">
      <div className="messages" ref={box} tabIndex={0} role="region" aria-label="Conversation">
        <div className="column" ref={content}>
          {path.map((message) => (
            <Item key={message.id} message={message} all={versions(messages, message)} />
          ))}
        </div>
      </div>
      {away && (
        <button
          type="button"
          className="to-end"
          data-testid="to-end"
          aria-label="Go to the latest text"
          onClick={toEnd}
        >
          <Icon name="down" />
        </button>
      )}
    </div>
  );
}

const Item = memo(
  ({ message, all }: { message: Message; all: Message[] }) =>
    message.role === 'user' ? (
      <Question message={message} versions={all} />
    ) : (
      <Answer message={message} versions={all} />
    ),
  (a, b) => a.message === b.message && a.all.length === b.all.length,
);
Item.displayName = 'Item';
