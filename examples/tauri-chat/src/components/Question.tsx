import { useState } from 'react';
import { edit } from '../lib/chat';
import type { Message } from '../lib/types';
import { CopyButton } from './CopyButton';
import { Icon } from './Icon';
import { TextArea } from './TextArea';
import { Versions } from './Versions';

export function Question({ message, versions }: { message: Message; versions: Message[] }) {
  const [draft, setDraft] = useState<string | null>(null);
  if (draft !== null)
    return (
      <EditForm
        draft={draft}
        onChange={setDraft}
        onCancel={() => setDraft(null)}
        onSend={() => {
          setDraft(null);
          void edit(message, draft);
        }}
      />
    );
  return (
    <article className="question" data-testid="message-user" aria-label="You">
      <div className="bubble">{message.text}</div>
      <div className="actions">
        <Versions message={message} versions={versions} />
        <CopyButton text={message.text} label="Copy question" />
        <button
          type="button"
          className="quiet"
          aria-label="Edit question"
          title="Edit"
          data-testid="edit"
          onClick={() => setDraft(message.text)}
        >
          <Icon name="pencil" />
        </button>
      </div>
    </article>
  );
}

function EditForm(props: {
  draft: string;
  onChange: (text: string) => void;
  onCancel: () => void;
  onSend: () => void;
}) {
  const ok = props.draft.trim() !== '';
  return (
    <form
      className="question editing"
      onSubmit={(event) => {
        event.preventDefault();
        if (ok) props.onSend();
      }}
    >
      <TextArea
        value={props.draft}
        onChange={props.onChange}
        onEnter={() => ok && props.onSend()}
        onEscape={props.onCancel}
        label="Edit question"
        testid="edit-text"
        autoFocus
      />
      <div className="row end">
        <button type="button" onClick={props.onCancel}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={!ok} data-testid="edit-send">
          Ask again
        </button>
      </div>
    </form>
  );
}
