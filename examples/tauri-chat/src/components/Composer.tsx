import { useState } from 'react';
import { chat, send, stop } from '../lib/chat';
import { live } from '../lib/live';
import { settings } from '../lib/settings';
import { ui } from '../lib/ui';
import { useStore } from '../lib/store';
import { Icon } from './Icon';
import { TextArea } from './TextArea';

/** What was typed and not sent, by conversation. */
const drafts = new Map<string | null, string>();

export function Composer() {
  const current = useStore(chat, (s) => s.current);
  return <Form key={current} current={current} />;
}

function Form({ current }: { current: string | null }) {
  const [text, setText] = useState(drafts.get(current) ?? '');
  const focus = useStore(ui, (s) => s.focus);
  const model = useStore(settings, (s) => s.model);
  const running = useStore(live, (s) =>
    Object.values(s.answers).some((a) => a.conversation === current),
  );
  const ready = text.trim() !== '' && model !== null && !running;

  const change = (value: string) => {
    drafts.set(current, value);
    setText(value);
  };
  const submit = () => {
    if (!ready) return;
    change('');
    void send(text.trim());
  };
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <TextArea
        value={text}
        onChange={change}
        onEnter={submit}
        label="Message"
        testid="composer"
        placeholder={model === null ? 'Choose a model to begin' : 'Ask something'}
        focus={focus}
      />
      {running ? (
        <button
          type="button"
          className="round"
          aria-label="Stop"
          title="Stop (Esc)"
          data-testid="stop"
          onClick={stop}
        >
          <Icon name="stop" />
        </button>
      ) : (
        <button
          type="submit"
          className="round"
          aria-label="Send"
          title="Send (Enter)"
          data-testid="send"
          disabled={!ready}
        >
          <Icon name="send" />
        </button>
      )}
    </form>
  );
}
