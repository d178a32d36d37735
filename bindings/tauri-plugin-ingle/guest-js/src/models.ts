import { asyncDispose } from './dispose.js';
import { embed } from './embed.js';
import { call, openPort } from './invoke.js';
import {
  generateObject,
  streamObject,
  type ObjectOptions,
  type ObjectRequest,
  type ObjectResult,
  type ObjectStream,
} from './objects.js';
import type { Infer, Schema } from './schema.js';
import { chat, generate, type ChatStream, type StreamOptions } from './streams.js';
import { applyTemplate, detokenize, tokenize, type TokenizeOptions } from './tokens.js';
import { loadSession, saveSession } from './sessions.js';
import type {
  ChatRequest,
  EmbedRequest,
  GenerateRequest,
  LoadedModel,
  LoadEvent,
  LoadProgress,
  ModelInfo,
  Options,
  StoredModel,
  TemplateRequest,
} from './types.js';

export interface LoadOptions {
  /** Options of ingle by name, such as `{ context: 8192 }`. */
  options?: Options | undefined;
  onProgress?: ((progress: LoadProgress) => void) | undefined;
}

/** A loaded model. Its methods are the functions of the same names with `model` filled in. */
export class Model implements AsyncDisposable {
  /** What `model` in a request names it by. */
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly info: ModelInfo;
  readonly device: string;
  readonly loadSeconds: number;

  /** @internal Use `loadModel`. */
  constructor(loaded: LoadedModel) {
    this.id = loaded.id;
    this.name = loaded.name;
    this.path = loaded.path;
    this.info = loaded.info;
    this.device = loaded.device;
    this.loadSeconds = loaded.loadSeconds;
  }

  chat(request: Omit<ChatRequest, 'model'>, options?: StreamOptions): ChatStream {
    return chat({ ...request, model: this.id }, options);
  }

  generate(request: Omit<GenerateRequest, 'model'> | string, options?: StreamOptions): ChatStream {
    const asked = typeof request === 'string' ? { prompt: request } : request;
    return generate({ ...asked, model: this.id }, options);
  }

  generateObject<S extends Schema>(
    request: Omit<ObjectRequest<S>, 'model'>,
    options?: ObjectOptions,
  ): Promise<ObjectResult<Infer<S>>> {
    return generateObject<S>({ ...request, model: this.id }, options);
  }

  streamObject<S extends Schema>(
    request: Omit<ObjectRequest<S>, 'model'>,
    options?: ObjectOptions,
  ): ObjectStream<Infer<S>> {
    return streamObject<S>({ ...request, model: this.id }, options);
  }

  embed(request: Omit<EmbedRequest, 'model'> | string | string[]): Promise<Float32Array[]> {
    const asked =
      typeof request === 'string' || Array.isArray(request) ? { input: request } : request;
    return embed({ ...asked, model: this.id });
  }

  tokenize(text: string, options?: Omit<TokenizeOptions, 'model'>): Promise<number[]> {
    return tokenize(text, { ...options, model: this.id });
  }

  detokenize(tokens: number[], options?: { spellSpecial?: boolean }): Promise<string> {
    return detokenize(tokens, { ...options, model: this.id });
  }

  applyTemplate(request: Omit<TemplateRequest, 'model'>): Promise<string> {
    return applyTemplate({ ...request, model: this.id });
  }

  saveSession(name: string): Promise<void> {
    return saveSession(name, this.id);
  }

  loadSession(name: string): Promise<void> {
    return loadSession(name, this.id);
  }

  /** Gives the memory back. Running streams of the model end with an error. */
  unload(): Promise<void> {
    return unloadModel(this.id);
  }

  [asyncDispose](): Promise<void> {
    return this.unload();
  }
}

/** Loads a model by path or store name. One that is loaded already is returned at once. */
export async function loadModel(model: string, options: LoadOptions = {}): Promise<Model> {
  const { onProgress } = options;
  const args: Record<string, unknown> = { model };
  if (options.options) args['options'] = options.options;
  if (!onProgress) return new Model(await call<LoadedModel>('load_model', args));
  const port = openPort<LoadEvent>((event) => {
    if (event.event === 'progress') onProgress(event.data);
  });
  try {
    return new Model(await call<LoadedModel>('load_model', { ...args, onEvent: port.channel }));
  } finally {
    port.close();
  }
}

/** Gives a model's memory back. */
export async function unloadModel(model: string): Promise<void> {
  await call<null>('unload_model', { model });
}

/** The models of the store. */
export function listModels(): Promise<StoredModel[]> {
  return call('list_models');
}

/** What a model's file says about itself. */
export function modelInfo(model: string): Promise<ModelInfo> {
  return call('model_info', { model });
}
