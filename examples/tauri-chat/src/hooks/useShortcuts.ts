import { useEffect } from 'react';
import { open, stop } from '../lib/chat';
import { change, settings } from '../lib/settings';
import { focusComposer, openSettings, ui } from '../lib/ui';
import { NARROW } from './useMedia';

export function toggleSidebar(): void {
  if (matchMedia(NARROW).matches) ui.set({ drawer: !ui.value.drawer });
  else change({ sidebar: !settings.value.sidebar });
}

export function newChat(): void {
  ui.set({ drawer: false });
  void open(null).then(focusComposer);
}

function focusSearch(): void {
  if (matchMedia(NARROW).matches) ui.set({ drawer: true });
  else change({ sidebar: true });
  // The field appears with the list.
  requestAnimationFrame(() => document.getElementById('search')?.focus());
}

const WITH_CTRL: Record<string, () => void> = {
  n: newChat,
  k: focusSearch,
  b: toggleSidebar,
  ',': () => openSettings('general'),
};

/** Ctrl (or Command): N new, K search, B list, comma settings. Escape stops an answer. */
export function useShortcuts(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing || ui.value.settings !== null) return;
      if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey) {
        const action = WITH_CTRL[event.key.toLowerCase()];
        if (!action) return;
        event.preventDefault();
        action();
      } else if (event.key === 'Escape') {
        if (ui.value.drawer) ui.set({ drawer: false });
        else if (!document.querySelector('dialog[open]')) stop();
      }
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
}
