import { useState } from 'react';
import { remove, rename } from '../lib/chat';
import { live } from '../lib/live';
import type { Conversation } from '../lib/types';
import { useStore } from '../lib/store';
import { Dialog } from './Dialog';
import { Icon } from './Icon';

export function ConversationItem(props: {
  conversation: Conversation;
  excerpt: string;
  wanted: string;
  current: boolean;
  onOpen: () => void;
}) {
  const { conversation, current, excerpt, wanted } = props;
  const [mode, setMode] = useState<'view' | 'rename' | 'delete'>('view');
  const writing = useStore(live, (s) =>
    Object.values(s.answers).some((a) => a.conversation === conversation.id),
  );
  if (mode === 'rename')
    return <RenameForm conversation={conversation} onClose={() => setMode('view')} />;
  return (
    <li className={current ? 'conversation current' : 'conversation'} data-testid="conversation">
      <button
        type="button"
        className="open"
        aria-current={current ? 'page' : undefined}
        title={conversation.title}
        onClick={props.onOpen}
        onDoubleClick={() => setMode('rename')}
      >
        <span className="title">
          {writing && <span className="dot" role="img" aria-label="Writing" />}
          {conversation.title}
        </span>
        {excerpt && <span className="excerpt">{marked(excerpt, wanted)}</span>}
      </button>
      <span className="tools">
        <button
          type="button"
          className="quiet"
          aria-label={`Rename ${conversation.title}`}
          data-testid="rename"
          onClick={() => setMode('rename')}
        >
          <Icon name="pencil" />
        </button>
        <button
          type="button"
          className="quiet"
          aria-label={`Delete ${conversation.title}`}
          data-testid="delete"
          onClick={() => setMode('delete')}
        >
          <Icon name="trash" />
        </button>
      </span>
      {mode === 'delete' && (
        <Dialog title="Delete this conversation?" className="small" onClose={() => setMode('view')}>
          <p>“{conversation.title}” will be gone for good.</p>
          <div className="row end">
            <button type="button" onClick={() => setMode('view')}>
              Keep
            </button>
            <button
              type="button"
              className="danger"
              data-testid="delete-confirm"
              onClick={() => void remove(conversation.id)}
            >
              Delete
            </button>
          </div>
        </Dialog>
      )}
    </li>
  );
}

function RenameForm({
  conversation,
  onClose,
}: {
  conversation: Conversation;
  onClose: () => void;
}) {
  const [title, setTitle] = useState(conversation.title);
  const save = () => {
    void rename(conversation.id, title);
    onClose();
  };
  return (
    <li className="conversation renaming">
      <input
        autoFocus
        aria-label="Title"
        data-testid="rename-title"
        value={title}
        maxLength={200}
        onChange={(event) => setTitle(event.target.value)}
        onFocus={(event) => event.target.select()}
        onBlur={save}
        onKeyDown={(event) => {
          if (event.key === 'Enter') save();
          else if (event.key === 'Escape') {
            event.preventDefault();
            onClose();
          }
        }}
      />
    </li>
  );
}

function marked(text: string, wanted: string) {
  const at = text.toLowerCase().indexOf(wanted.toLowerCase());
  if (at < 0 || !wanted) return text;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + wanted.length)}</mark>
      {text.slice(at + wanted.length)}
    </>
  );
}
