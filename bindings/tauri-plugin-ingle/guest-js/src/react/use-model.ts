import { useCallback, useEffect, useRef, useState } from 'react';
import { IngleError, loadModel, type LoadProgress, type Model, type Options } from '../index.js';

export interface UseModelOptions {
  options?: Options | undefined;
  /** Load when the component appears. Default: true. */
  autoLoad?: boolean | undefined;
  /** Unload when the component goes. Default: false, so that coming back is instant. */
  unloadOnUnmount?: boolean | undefined;
}

export interface UseModel {
  model: Model | null;
  status: 'idle' | 'loading' | 'ready' | 'error';
  progress: LoadProgress | null;
  error: IngleError | null;
  load: () => Promise<void>;
  unload: () => Promise<void>;
}

type State = Omit<UseModel, 'load' | 'unload'>;

const IDLE: State = { model: null, status: 'idle', progress: null, error: null };

/** A model by path or store name; null waits, while the user has chosen none for example. */
export function useModel(name: string | null, options: UseModelOptions = {}): UseModel {
  const [state, setState] = useState<State>(IDLE);
  const wanted = useRef(0);
  const settings = useRef(options);
  useEffect(() => {
    settings.current = options;
  });
  const optionText = JSON.stringify(options.options ?? {});
  const autoLoad = options.autoLoad ?? true;

  const load = useCallback(async (): Promise<void> => {
    if (name === null) return;
    // Only the newest call may change the state.
    const turn = ++wanted.current;
    const set = (next: State): void => {
      if (wanted.current === turn) setState(next);
    };
    set({ ...IDLE, status: 'loading' });
    try {
      const model = await loadModel(name, {
        options: JSON.parse(optionText) as Options,
        onProgress: (progress) => {
          set({ ...IDLE, status: 'loading', progress });
        },
      });
      set({ ...IDLE, model, status: 'ready' });
    } catch (error) {
      set({ ...IDLE, status: 'error', error: IngleError.from(error) });
    }
  }, [name, optionText]);

  const forget = useCallback((): void => {
    wanted.current++;
    setState(IDLE);
  }, []);

  const { model } = state;
  const unload = useCallback(async (): Promise<void> => {
    forget();
    await model?.unload();
  }, [forget, model]);

  useEffect(() => {
    if (autoLoad) void load();
    return forget;
  }, [autoLoad, forget, load]);

  useEffect(
    () => () => {
      if (settings.current.unloadOnUnmount) model?.unload().catch(() => undefined);
    },
    [model],
  );

  return { ...state, load, unload };
}
