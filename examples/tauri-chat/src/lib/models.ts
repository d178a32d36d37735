import { failureOf } from './errors';
import * as ingle from 'tauri-plugin-ingle-api';
import type { Device, Model, StoredModel } from 'tauri-plugin-ingle-api';
import { change, settings } from './settings';
import { Store } from './store';
import type { Failure } from './types';

interface Models {
  /** null until the store was read once. */
  stored: StoredModel[] | null;
  /** By the name or path they were asked for with. */
  loaded: Record<string, Model>;
  loading: { model: string; done: number; what: string } | null;
  error: Failure | null;
  /** What this computer can compute on; empty until it was asked. */
  devices: Device[];
}

const EMPTY: Models = { stored: null, loaded: {}, loading: null, error: null, devices: [] };

export const models = new Store<Models>(EMPTY);

export async function refreshModels(): Promise<StoredModel[]> {
  try {
    const stored = await ingle.listModels();
    const loaded = Object.fromEntries(
      Object.entries(models.value.loaded).filter(([name, { path }]) =>
        stored.some((m) => m.loaded && (m.name === name || m.path === path)),
      ),
    );
    models.set({ stored, loaded, error: null });
    return stored;
  } catch (error) {
    models.set({ stored: models.value.stored ?? [], error: failureOf(error) });
    return [];
  }
}

export function isPath(model: string): boolean {
  return /[\\/]/.test(model);
}

/** True for the row of a file that was opened by its path: it is in the list while it is loaded, but not in the store. */
export function isOpenedFile(
  row: StoredModel,
  model: string | null,
  all: Models['loaded'],
): boolean {
  if (model === null || !isPath(model)) return false;
  return row.path === model || row.path === all[model]?.path;
}

/** The model that the app brought along, in builds that do (see .env.bundled). */
export const BUNDLED: string | null = import.meta.env.VITE_BUNDLED_MODEL ?? null;

/** What a person calls a model: its store name or the name of its file, without the ending. */
export function displayName(model: string): string {
  if (model === BUNDLED) return 'Built-in model';
  return (model.split(/[\\/]/).pop() ?? model).replace(/\.gguf$/i, '');
}

/** Chooses a model when none is chosen or the chosen one is gone: the one brought along, or the smallest in the store. */
export function chooseDefault(stored: readonly StoredModel[]): void {
  const { model } = settings.value;
  if (model !== null && (isPath(model) || stored.some((m) => m.name === model && m.complete)))
    return;
  const first = stored.filter((m) => m.complete).sort((a, b) => a.bytes - b.bytes)[0];
  change({ model: BUNDLED ?? first?.name ?? null });
}

let loadings = new Map<string, Promise<Model>>();

/** Loads a model once; several callers share one load. */
export function loadModel(model: string): Promise<Model> {
  const running = loadings.get(model);
  if (running) return running;
  const load = run(model).finally(() => loadings.delete(model));
  loadings.set(model, load);
  return load;
}

async function run(model: string): Promise<Model> {
  models.set({ loading: { model, done: 0, what: '' }, error: null });
  try {
    const { context } = settings.value;
    const result = await ingle.loadModel(model, {
      options: context > 0 ? { context } : {},
      onProgress: ({ done, what }) => models.set({ loading: { model, done, what } }),
    });
    models.set({ loaded: { ...models.value.loaded, [model]: result } });
    return result;
  } finally {
    models.set({ loading: null });
  }
}

/** Makes `model` the one that answers, and gives back the memory of the others. */
export async function selectModel(model: string): Promise<void> {
  change({ model });
  // One that is still being loaded can be given back only then.
  await Promise.allSettled(
    [...loadings].filter(([name]) => name !== model).map(([, load]) => load),
  );
  for (const other of Object.keys(models.value.loaded)) {
    if (other !== model) await unload(other);
  }
  try {
    await loadModel(model);
    await refreshModels();
  } catch (error) {
    models.set({ error: failureOf(error) });
  }
}

export async function unload(model: string): Promise<void> {
  try {
    await ingle.unloadModel(model);
  } catch (error) {
    // Unloaded before, by idleness or another window: that is what was wanted.
    if (failureOf(error).code !== 'not_loaded') throw error;
  }
  const loaded = { ...models.value.loaded };
  Reflect.deleteProperty(loaded, model);
  models.set({ loaded });
}

/** Gives back the memory of every model. */
export async function unloadAll(): Promise<void> {
  const names = new Set(Object.keys(models.value.loaded));
  for (const m of models.value.stored ?? []) if (m.loaded) names.add(m.name);
  for (const name of names) await unload(name);
  await refreshModels();
}

/** After a change of a setting that is used when a model is loaded. */
export async function reload(): Promise<void> {
  const { model } = settings.value;
  if (model === null || !(model in models.value.loaded)) return;
  await unload(model);
  await selectModel(model);
}

export async function remove(model: string): Promise<void> {
  await ingle.removeModel(model);
  chooseDefault(await refreshModels());
}

export async function askDevices(): Promise<void> {
  // Only for show: without an answer the page names the device by its id.
  const devices = await ingle.devices().catch(() => []);
  models.set({ devices });
}

/** "AMD EPYC, avx512" for "cpu" */
export function deviceName(id: string, devices: readonly Device[]): string {
  const device = devices.find((d) => d.id === id);
  return device ? [device.name, device.kernels].filter(Boolean).join(', ') : id;
}

/** A finished download answers from now on, unless another model does already. */
export function chooseDownloaded(model: StoredModel): void {
  if (settings.value.model === null) void selectModel(model.name);
}

/** For tests. */
export function resetModels(): void {
  loadings = new Map();
  models.set(EMPTY);
}
