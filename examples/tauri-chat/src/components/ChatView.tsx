import { chat, send, start } from '../lib/chat';
import { live } from '../lib/live';
import { models, selectModel } from '../lib/models';
import { settings } from '../lib/settings';
import { useStore } from '../lib/store';
import { Composer } from './Composer';
import { ErrorNotice } from './ErrorNotice';
import { Logo } from './Logo';
import { Messages } from './Messages';
import { StatusLine } from './StatusLine';

export function ChatView() {
  const current = useStore(chat, (s) => s.current);
  const historyError = useStore(chat, (s) => s.error);
  const modelError = useStore(models, (s) => s.error);
  const model = useStore(settings, (s) => s.model);
  return (
    <div className="chat">
      {current === null ? <Empty /> : <Messages />}
      <div className="column foot">
        {historyError ? (
          <ErrorNotice failure={historyError} onRetry={() => void start()} />
        ) : (
          modelError && (
            <ErrorNotice
              failure={modelError}
              onRetry={model === null ? undefined : () => void selectModel(model)}
            />
          )
        )}
        <Composer />
        <StatusLine />
      </div>
      <Announcer />
    </div>
  );
}

const IDEAS = [
  'Explain how a rainbow comes about',
  'Write a polite reminder about an unpaid invoice',
  'Give me three ideas for a rainy Sunday',
];

function Empty() {
  const model = useStore(settings, (s) => s.model);
  return (
    <div className="empty-chat">
      <Logo />
      <h1>What is on your mind?</h1>
      <div className="ideas">
        {IDEAS.map((idea) => (
          <button
            key={idea}
            type="button"
            disabled={model === null}
            onClick={() => void send(idea)}
          >
            {idea}
          </button>
        ))}
      </div>
    </div>
  );
}

/** Tells screen readers when an answer begins and ends; each word would be too much. */
function Announcer() {
  const current = useStore(chat, (s) => s.current);
  const writing = useStore(live, (s) =>
    Object.values(s.answers).some((a) => a.conversation === current),
  );
  return (
    <p className="hidden" role="status">
      {current !== null && (writing ? 'The answer is being written.' : 'Ready.')}
    </p>
  );
}
