import { Store } from './store';

export type Page = 'general' | 'models' | 'system';

interface Ui {
  /** Page of the settings, null when they are closed. */
  settings: Page | null;
  /** The list of conversations on a narrow window, where it lies over the chat. */
  drawer: boolean;
  /** Changes when the composer shall take the focus. */
  focus: number;
}

export const ui = new Store<Ui>({ settings: null, drawer: false, focus: 0 });

export const openSettings = (page: Page) => ui.set({ settings: page });
export const closeSettings = () => ui.set({ settings: null });
export const focusComposer = () => ui.set({ focus: ui.value.focus + 1 });
