import { regenerate, runningHere } from '../lib/chat';
import { duration, percent, speed } from '../lib/format';
import { live } from '../lib/live';
import { displayName, models } from '../lib/models';
import type { Live, Message } from '../lib/types';
import { useStore } from '../lib/store';
import { CopyButton } from './CopyButton';
import { ErrorNotice } from './ErrorNotice';
import { Icon } from './Icon';
import { Markdown } from './Markdown';
import { Versions } from './Versions';

export function Answer({ message, versions }: { message: Message; versions: Message[] }) {
  const writing = useStore(live, (s) => s.answers[message.id]);
  const text = writing?.text ?? message.text;
  const reasoning = writing?.reasoning ?? message.reasoning;
  return (
    <article
      className="answer"
      data-testid="message-assistant"
      data-status={writing ? 'running' : message.status}
      aria-label="Answer"
      aria-busy={writing !== undefined}
    >
      {reasoning && <Reasoning text={reasoning} running={writing !== undefined && !text} />}
      {text && <Markdown text={text} key={writing ? 'live' : 'done'} />}
      {writing ? <Waiting live={writing} /> : <Ending message={message} versions={versions} />}
    </article>
  );
}

function Reasoning({ text, running }: { text: string; running: boolean }) {
  return (
    <details className="reasoning" data-testid="reasoning">
      <summary>{running ? 'Thinking…' : 'Thoughts'}</summary>
      <Markdown text={text} />
    </details>
  );
}

/** What happens before the first word, and a mark that it goes on. */
function Waiting({ live: { phase, progress, text, reasoning } }: { live: Live }) {
  const loading = useStore(models, (s) => s.loading);
  if (text || reasoning) return <span className="caret" aria-hidden="true" />;
  const done = phase === 'loading' ? (loading?.done ?? 0) : progress;
  const label = phase === 'loading' ? 'Loading the model' : 'Reading';
  return (
    <p className="waiting" data-testid="waiting">
      <span className="dots" aria-hidden="true" />
      {label}
      {done > 0 && done < 1 && ` ${Math.round(percent(done, 1))} %`}
    </p>
  );
}

const NOTES = {
  stopped: 'Stopped.',
  length: 'Cut off at the most tokens allowed. You can raise the limit in the settings.',
  interrupted: 'Interrupted when the app ended.',
} as const;

function Ending({ message, versions }: { message: Message; versions: Message[] }) {
  const { status, stats } = message;
  const again = () => {
    if (runningHere() === null) void regenerate(message);
  };
  return (
    <>
      {status === 'error' && message.error && (
        <ErrorNotice failure={message.error} onRetry={again} />
      )}
      {(status === 'stopped' || status === 'length' || status === 'interrupted') && (
        <p className="note">{NOTES[status]}</p>
      )}
      <div className="actions">
        <Versions message={message} versions={versions} />
        {message.text && <CopyButton text={message.text} label="Copy answer" />}
        <button
          type="button"
          className="quiet"
          aria-label="Answer again"
          title="Answer again"
          data-testid="regenerate"
          onClick={again}
        >
          <Icon name="redo" />
        </button>
        {stats && stats.outputTokens > 0 && (
          <span
            className="stats"
            data-testid="stats"
            title={`${stats.promptTokens} tokens read in ${duration(stats.promptSeconds)}, ${stats.cachedTokens} of them from the cache`}
          >
            {message.model && `${displayName(message.model)} · `}
            {stats.outputTokens} tokens · {speed(stats.tokensPerSecond)}
          </span>
        )}
      </div>
    </>
  );
}
