import { useEffect } from 'react';
import { NARROW, useMedia } from '../hooks/useMedia';
import { toggleSidebar, useShortcuts } from '../hooks/useShortcuts';
import { chat, start } from '../lib/chat';
import { resumeWatching } from '../lib/downloads';
import {
  askDevices,
  chooseDefault,
  chooseDownloaded,
  loadModel,
  models,
  refreshModels,
} from '../lib/models';
import { settings } from '../lib/settings';
import { ui } from '../lib/ui';
import { failureOf } from '../lib/errors';
import { useStore } from '../lib/store';
import { ChatView } from './ChatView';
import { Icon } from './Icon';
import { ModelPicker } from './ModelPicker';
import { SettingsDialog } from './SettingsDialog';
import { Sidebar } from './Sidebar';
import { Welcome } from './Welcome';

/** Runs once: the history, the store, what was going on, and the model, so that the first answer need not wait. */
async function boot(): Promise<void> {
  chooseDefault(await refreshModels());
  await start();
  void askDevices();
  void resumeWatching(chooseDownloaded);
  const { model } = settings.value;
  if (model === null) return;
  try {
    await loadModel(model);
    await refreshModels();
  } catch (error) {
    models.set({ error: failureOf(error) });
  }
}

let booted = false;

export function App() {
  useShortcuts();
  useEffect(() => {
    // Strict mode runs effects twice in development.
    if (booted) return;
    booted = true;
    void boot();
  }, []);

  const ready = useStore(chat, (s) => s.ready);
  const current = useStore(chat, (s) => s.current);
  const title = useStore(chat, (s) => s.conversations.find((c) => c.id === s.current)?.title);
  const model = useStore(settings, (s) => s.model);
  const narrow = useMedia(NARROW);
  const sidebar = useStore(settings, (s) => s.sidebar);
  const drawer = useStore(ui, (s) => s.drawer);
  const shown = narrow ? drawer : sidebar;

  if (!ready) return null;
  return (
    <div className="app" data-ready>
      {shown && narrow && <div className="shade" onClick={() => ui.set({ drawer: false })} />}
      {shown && <Sidebar />}
      <main>
        <header className="top">
          <button
            type="button"
            className="quiet"
            aria-label={shown ? 'Hide conversations' : 'Show conversations'}
            aria-expanded={shown}
            title="Ctrl+B"
            data-testid="sidebar-toggle"
            onClick={toggleSidebar}
          >
            <Icon name="sidebar" />
          </button>
          {title === undefined ? (
            <span className="title" />
          ) : (
            <h1 className="title" data-testid="title">
              {title}
            </h1>
          )}
          <ModelPicker />
        </header>
        {model === null && current === null ? <Welcome /> : <ChatView />}
      </main>
      <SettingsDialog />
    </div>
  );
}
