import { IngleError } from './errors.js';
import { call, openPort, type Port } from './invoke.js';
import { Latest } from './latest.js';
import type { DownloadEvent, DownloadInfo, DownloadProgress, StoredModel } from './types.js';

export interface DownloadOptions {
  onProgress?: ((progress: DownloadProgress) => void) | undefined;
  /** Aborting stops the download; what has come stays on disk and is not fetched again. */
  signal?: AbortSignal | undefined;
}

/**
 * A model on its way to the store. Await it for the stored model, iterate it for the progress.
 * Asking for the same source again, after a reload for example, joins the running download.
 */
export class Download implements PromiseLike<StoredModel>, AsyncIterable<DownloadProgress> {
  /** The stored model. Rejects with code "cancelled" if the download is stopped. */
  readonly done: Promise<StoredModel>;
  /** Id on the Rust side. */
  readonly id: Promise<string>;

  private readonly latest = new Latest<DownloadProgress>();
  private port: Port<DownloadEvent> | undefined;
  private ended = false;
  private cancelling: Promise<void> | undefined;

  /** @internal Use `downloadModel`. */
  constructor(
    readonly source: string,
    private readonly options: DownloadOptions,
  ) {
    const { signal } = options;
    let resolveDone!: (model: StoredModel) => void;
    let rejectDone!: (error: IngleError) => void;
    this.done = new Promise((resolve, reject) => {
      resolveDone = resolve;
      rejectDone = reject;
    });
    this.done.catch(() => undefined);
    const settle = (outcome: StoredModel | IngleError): void => {
      if (this.ended) return;
      this.close();
      const error = outcome instanceof IngleError ? outcome : undefined;
      if (outcome instanceof IngleError) rejectDone(outcome);
      else resolveDone(outcome);
      this.latest.end(error);
    };
    this.id = this.start(settle);
    this.id.catch((error: unknown) => {
      settle(IngleError.from(error));
    });
    signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** The newest progress. */
  get progress(): DownloadProgress | undefined {
    return this.latest.value;
  }

  then<A = StoredModel, B = never>(
    onDone?: ((model: StoredModel) => A | PromiseLike<A>) | null,
    onError?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.done.then(onDone, onError);
  }

  /** Stops the download. Does nothing to one that has ended. */
  cancel(): Promise<void> {
    if (this.ended) return Promise.resolve();
    this.cancelling ??= this.id.then(async (download) => {
      if (!this.ended) await call<null>('cancel_download', { download });
    });
    return this.cancelling;
  }

  /** The progress; one who reads slowly sees the newest only. Leaving the loop stops nothing. */
  [Symbol.asyncIterator](): AsyncGenerator<DownloadProgress, undefined> {
    return this.latest.read();
  }

  private async start(settle: (outcome: StoredModel | IngleError) => void): Promise<string> {
    if (this.options.signal?.aborted) throw new IngleError('cancelled', 'aborted before it began');
    const port = openPort<DownloadEvent>((event) => {
      if (this.ended) return;
      if (event.event === 'progress') this.report(event.data);
      else if (event.event === 'done') settle(event.data.model);
      else if (event.event === 'error')
        settle(new IngleError(event.data.code, event.data.message, event.data.hint));
    });
    this.port = port;
    const { download } = await call<{ download: string }>('download_model', {
      source: this.source,
      onEvent: port.channel,
    });
    // Only now: a refused command closes its channel too, and the refusal says more.
    void port.closed.then(() => {
      settle(new IngleError('internal', 'the download ended without saying how'));
    });
    return download;
  }

  private report(progress: DownloadProgress): void {
    this.latest.set(progress);
    this.options.onProgress?.(progress);
  }

  private close(): void {
    this.ended = true;
    this.port?.close();
    this.options.signal?.removeEventListener('abort', this.onAbort);
  }

  private readonly onAbort = (): void => {
    this.cancel().catch(() => undefined);
  };
}

/** Fetches a model: `owner/name:file` or an URL. */
export function downloadModel(source: string, options: DownloadOptions = {}): Download {
  return new Download(source, options);
}

/** Downloads that run. */
export function listDownloads(): Promise<DownloadInfo[]> {
  return call('list_downloads');
}

/** Deletes a model from the store. */
export async function removeModel(model: string): Promise<void> {
  await call<null>('remove_model', { model });
}

/** Compares a stored model with its checksum. */
export async function verifyModel(
  model: string,
  options: { onProgress?: (progress: DownloadProgress) => void } = {},
): Promise<void> {
  const port = openPort<DownloadEvent>((event) => {
    if (event.event === 'progress') options.onProgress?.(event.data);
  });
  try {
    await call<null>('verify_model', { model, onEvent: port.channel });
  } finally {
    port.close();
  }
}
