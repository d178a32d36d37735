import { newChat } from '../hooks/useShortcuts';
import { explain, type Remedy } from '../lib/errors';
import { unloadAll } from '../lib/models';
import type { Failure } from '../lib/types';
import { openSettings } from '../lib/ui';
import { Icon } from './Icon';

const LABELS: Record<Remedy, string> = {
  retry: 'Try again',
  choose: 'Choose another model',
  free: 'Free memory and try again',
  'new-chat': 'Start a new chat',
  settings: 'Open settings',
};

/** What happened, what to do, and a button that does it. */
export function ErrorNotice(props: {
  failure: Failure;
  /** In place of the title that goes with the code. */
  title?: string;
  onRetry?: (() => void) | undefined;
}) {
  const { failure, onRetry } = props;
  const { title, remedies } = explain(failure);
  const act: Record<Remedy, (() => void) | undefined> = {
    retry: onRetry,
    choose: () => openSettings('models'),
    free: onRetry && (() => void unloadAll().then(onRetry)),
    'new-chat': newChat,
    settings: () => openSettings('general'),
  };
  return (
    <div className="error" role="alert" data-testid="error" data-code={failure.code}>
      <Icon name="alert" />
      <div>
        <strong>{props.title ?? title}</strong>
        <p>{failure.message}</p>
        {failure.hint && <p className="hint">{failure.hint}</p>}
        <div className="row">
          {remedies.map((remedy, i) =>
            act[remedy] ? (
              <button
                key={remedy}
                type="button"
                className={i === 0 ? 'primary' : ''}
                data-testid={`remedy-${remedy}`}
                onClick={act[remedy]}
              >
                {LABELS[remedy]}
              </button>
            ) : null,
          )}
        </div>
      </div>
    </div>
  );
}
