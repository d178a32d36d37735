import { useEffect, useMemo, useSyncExternalStore } from 'react';
import {
  downloadModel,
  IngleError,
  listDownloads,
  type Download,
  type DownloadProgress,
  type StoredModel,
} from '../index.js';
import { FrameStore } from './frame.js';

export interface DownloadState {
  /** `paused` after cancel: what has come is kept, and resume goes on from there. */
  status: 'idle' | 'running' | 'paused' | 'done' | 'error';
  progress: DownloadProgress | null;
  /** The stored model, once it is there. */
  model: StoredModel | null;
  error: IngleError | null;
}

export interface UseDownload extends DownloadState {
  /** 0 to 1; null while the size is unknown. */
  fraction: number | null;
  /** Bytes per second. */
  speed: number;
  secondsLeft: number | null;
  start: () => Promise<void>;
  cancel: () => Promise<void>;
  resume: () => Promise<void>;
}

export interface UseDownloadOptions {
  onDone?: ((model: StoredModel) => void) | undefined;
}

const IDLE: DownloadState = { status: 'idle', progress: null, model: null, error: null };

class DownloadStore extends FrameStore<DownloadState> {
  private options: UseDownloadOptions = {};
  private download: Download | null = null;

  constructor(private readonly source: string | null) {
    super(IDLE);
  }

  configure(options: UseDownloadOptions): void {
    this.options = options;
  }

  readonly start = async (): Promise<void> => {
    if (this.source === null || this.download) return;
    this.set({ ...IDLE, progress: this.state.progress, status: 'running' });
    const download = downloadModel(this.source, {
      onProgress: (progress) => {
        if (this.download === download) this.set({ progress }, 'frame');
      },
    });
    this.download = download;
    try {
      const model = await download.done;
      if (this.download !== download) return;
      this.download = null;
      this.set({ status: 'done', model });
      this.options.onDone?.(model);
    } catch (thrown) {
      if (this.download !== download) return;
      this.download = null;
      const error = IngleError.from(thrown);
      if (error.code === 'cancelled') this.set({ status: 'paused' });
      else this.set({ status: 'error', error });
    }
  };

  readonly cancel = async (): Promise<void> => {
    const { download } = this;
    await download?.cancel();
    await download?.done.catch(() => undefined);
  };

  /** Joins a download that runs already, from before a reload for example. */
  async join(): Promise<void> {
    try {
      const running = await listDownloads();
      const mine = running.find((one) => one.source === this.source);
      if (!mine || this.download) return;
      if (mine.progress) this.set({ progress: mine.progress });
      await this.start();
    } catch {
      // A page that may not list downloads has none to join.
    }
  }

  /** Stops listening; the download itself runs on. */
  leave(): void {
    this.download = null;
  }
}

/** The download of one source, `owner/name:file` or an URL. null waits. */
export function useDownload(source: string | null, options: UseDownloadOptions = {}): UseDownload {
  const store = useMemo(() => new DownloadStore(source), [source]);
  useEffect(() => {
    store.configure(options);
  });
  useEffect(() => {
    if (source !== null) void store.join();
    return () => {
      store.leave();
    };
  }, [store, source]);
  const state = useSyncExternalStore(store.subscribe, store.snapshot, store.snapshot);
  const { progress, status } = state;
  const running = status === 'running';
  return {
    ...state,
    fraction: progress?.bytesTotal ? progress.bytesDone / progress.bytesTotal : null,
    speed: running ? (progress?.bytesPerSecond ?? 0) : 0,
    secondsLeft: running ? (progress?.secondsLeft ?? null) : null,
    start: store.start,
    cancel: store.cancel,
    resume: store.start,
  };
}
