import { show } from '../lib/chat';
import type { Message } from '../lib/types';
import { Icon } from './Icon';

/** Steps through the versions of an edited question or a regenerated answer. */
export function Versions({ message, versions }: { message: Message; versions: Message[] }) {
  if (versions.length < 2) return null;
  const at = versions.findIndex((m) => m.id === message.id);
  const step = (to: Message | undefined, icon: 'left' | 'right', label: string) => (
    <button
      type="button"
      className="quiet"
      aria-label={label}
      data-testid={`version-${icon}`}
      disabled={!to}
      onClick={() => to && void show(to)}
    >
      <Icon name={icon} />
    </button>
  );
  return (
    <span className="versions">
      {step(versions[at - 1], 'left', 'Earlier version')}
      <span data-testid="version">
        {at + 1} / {versions.length}
      </span>
      {step(versions[at + 1], 'right', 'Later version')}
    </span>
  );
}
