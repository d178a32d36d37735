import { failureOf } from './errors';
import {
  downloadModel,
  listDownloads,
  type Download as Running,
  type DownloadProgress,
  type StoredModel,
} from 'tauri-plugin-ingle-api';
import { bytes, duration } from './format';
import { refreshModels } from './models';
import { Store } from './store';
import type { Failure } from './types';

export interface Download {
  source: string;
  state: 'running' | 'paused' | 'failed';
  progress: DownloadProgress | null;
  error: Failure | null;
}

/** By source. A finished download leaves the list; its model is in the store then. */
export const downloads = new Store<{ list: Record<string, Download> }>({ list: {} });

const running = new Map<string, Running>();

function put(download: Download): void {
  downloads.set({ list: { ...downloads.value.list, [download.source]: download } });
}

function patch(source: string, part: Partial<Download>): void {
  const old = downloads.value.list[source];
  if (old) put({ ...old, ...part });
}

export function forget(source: string): void {
  const list = { ...downloads.value.list };
  Reflect.deleteProperty(list, source);
  downloads.set({ list });
}

/** Begins a download, goes on with a part that is there, or watches one that runs already. */
export async function download(
  source: string,
  onDone?: (model: StoredModel) => void,
): Promise<void> {
  const old = downloads.value.list[source];
  if (old?.state === 'running') return;
  put({ source, state: 'running', progress: old?.progress ?? null, error: null });
  const job = downloadModel(source, { onProgress: (progress) => patch(source, { progress }) });
  running.set(source, job);
  try {
    const model = await job.done;
    await refreshModels();
    forget(source);
    onDone?.(model);
  } catch (thrown) {
    const error = failureOf(thrown);
    if (error.code === 'cancelled') patch(source, { state: 'paused' });
    else patch(source, { state: 'failed', error });
    await refreshModels();
  } finally {
    running.delete(source);
  }
}

/** Stops a download; what is there stays for the next time. */
export async function pause(source: string): Promise<void> {
  await running.get(source)?.cancel();
}

/** Takes up the downloads that run on the Rust side, after a reload of the page. */
export async function resumeWatching(onDone: (model: StoredModel) => void): Promise<void> {
  try {
    for (const { source } of await listDownloads()) void download(source, onDone);
  } catch {
    // Not allowed to download: nothing can be running.
  }
}

/** "12.3 MB of 105 MB · 4.5 MB/s · 20 s left" */
export function describe({ state, progress: p }: Download): string {
  if (!p) return state === 'running' ? 'Asking the server…' : '';
  if (p.phase === 'verify') return 'Checking the file…';
  const parts = [
    p.bytesTotal === null ? bytes(p.bytesDone) : `${bytes(p.bytesDone)} of ${bytes(p.bytesTotal)}`,
  ];
  if (p.files > 1) parts.unshift(`File ${p.fileIndex + 1} of ${p.files}`);
  if (state === 'paused') parts.push('stopped; it goes on from here');
  if (state === 'running' && p.bytesPerSecond > 0) parts.push(`${bytes(p.bytesPerSecond)}/s`);
  if (state === 'running' && p.secondsLeft !== null) parts.push(`${duration(p.secondsLeft)} left`);
  return parts.join(' · ');
}
