import { chat } from '../lib/chat';
import { count, percent, speed } from '../lib/format';
import { live } from '../lib/live';
import { deviceName, models } from '../lib/models';
import { settings } from '../lib/settings';
import { branch } from '../lib/tree';
import { useStore } from '../lib/store';

/** Device, speed, and how full the context is. */
export function StatusLine() {
  const { model, context } = useStore(settings, (s) => s);
  const loaded = useStore(models, (s) => (model === null ? undefined : s.loaded[model]));
  const devices = useStore(models, (s) => s.devices);
  const current = useStore(chat, (s) => s.current);
  const messages = useStore(chat, (s) => s.messages);
  const head = useStore(chat, (s) => s.conversations.find((c) => c.id === s.current)?.head ?? null);
  const writing = useStore(live, (s) =>
    Object.values(s.answers).find((a) => a.conversation === current),
  );

  const stats = branch(messages, head).findLast((m) => m.stats !== null)?.stats ?? null;
  const tokensPerSecond = writing?.tokensPerSecond ?? stats?.tokensPerSecond ?? null;
  const before = stats ? stats.promptTokens + stats.outputTokens : 0;
  const used = writing ? Math.max(before, writing.promptTokens) + writing.tokens : before;
  const limit = loaded && (context > 0 ? context : Math.min(loaded.info.context, 4096));
  return (
    <div className="status-line">
      <span data-testid="device">{loaded ? deviceName(loaded.device, devices) : ''}</span>
      <span data-testid="speed">{tokensPerSecond !== null && speed(tokensPerSecond)}</span>
      {limit !== undefined && (
        <span className="context" data-testid="context" title="How much of the context is used">
          <meter
            min={0}
            max={limit}
            high={limit * 0.8}
            value={Math.min(used, limit)}
            aria-label="Context used"
          >
            {Math.round(percent(used, limit))} %
          </meter>
          {count(used)} / {count(limit)}
        </span>
      )}
    </div>
  );
}
