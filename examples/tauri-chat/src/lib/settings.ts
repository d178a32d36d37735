import { Store } from './store';

export interface Settings {
  theme: 'auto' | 'light' | 'dark';
  /** Store name or path of the model that answers; null until one is chosen. */
  model: string | null;
  systemPrompt: string;
  temperature: number;
  topP: number;
  /** 0: until the model ends or the context is full. */
  maxTokens: number;
  /** null: another seed each time. */
  seed: number | null;
  /** Positions to hold; 0: the model's own, at most 4096. Used when a model is loaded. */
  context: number;
  sidebar: boolean;
}

export const DEFAULTS: Settings = {
  theme: 'auto',
  model: null,
  systemPrompt: '',
  temperature: 0.7,
  topP: 0.95,
  maxTokens: 1024,
  seed: null,
  context: 0,
  sidebar: true,
};

const KEY = 'settings';

function number(value: unknown, fallback: number, min: number, max: number): number {
  return typeof value === 'number' && value >= min && value <= max ? value : fallback;
}

/** Takes what fits and the default for the rest, so that an old or broken entry never stops the app. */
export function parseSettings(text: string | null): Settings {
  let raw: Record<string, unknown> = {};
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    if (typeof value === 'object' && value !== null) raw = value as Record<string, unknown>;
  } catch {
    // Not JSON: the defaults.
  }
  return {
    theme: raw.theme === 'light' || raw.theme === 'dark' ? raw.theme : 'auto',
    model: typeof raw.model === 'string' && raw.model ? raw.model : null,
    systemPrompt: typeof raw.systemPrompt === 'string' ? raw.systemPrompt : DEFAULTS.systemPrompt,
    temperature: number(raw.temperature, DEFAULTS.temperature, 0, 2),
    topP: number(raw.topP, DEFAULTS.topP, 0, 1),
    maxTokens: Math.round(number(raw.maxTokens, DEFAULTS.maxTokens, 0, 1_000_000)),
    seed: Number.isSafeInteger(raw.seed) && (raw.seed as number) >= 0 ? (raw.seed as number) : null,
    context: Math.round(number(raw.context, DEFAULTS.context, 0, 16_777_216)),
    sidebar: raw.sidebar !== false,
  };
}

export const settings = new Store<Settings>(parseSettings(localStorage.getItem(KEY)));

export function change(part: Partial<Settings>): void {
  settings.set(part);
  localStorage.setItem(KEY, JSON.stringify(settings.value));
}

const dark = matchMedia('(prefers-color-scheme: dark)');

/** Keeps `data-theme` on the root element at "light" or "dark"; the style sheet needs no more. */
export function followTheme(): void {
  const apply = () => {
    const { theme } = settings.value;
    document.documentElement.dataset.theme =
      theme === 'auto' ? (dark.matches ? 'dark' : 'light') : theme;
  };
  apply();
  dark.addEventListener('change', apply);
  settings.subscribe(apply);
}
