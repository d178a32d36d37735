/** Shapes that cross the border to Rust. Sizes are bytes, times are seconds. */

/** Anything JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A JSON Schema object. */
export type JsonSchema = Record<string, unknown>;

/** One call of a tool inside an assistant message, OpenAI shape. */
export interface MessageToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

/** A chat message, OpenAI shape. */
export interface Message {
  role: 'system' | 'developer' | 'user' | 'assistant' | 'tool';
  content: string | null;
  /** What a reasoning model thought before it answered. */
  reasoning_content?: string;
  name?: string;
  tool_calls?: MessageToolCall[];
  tool_call_id?: string;
}

/** A function the model may call, OpenAI shape. */
export interface Tool {
  type: 'function';
  function: { name: string; description?: string; parameters?: JsonSchema };
}

/** What form the answer shall have. */
export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | {
      type: 'json_schema';
      json_schema: { name: string; description?: string; schema: JsonSchema; strict?: boolean };
    };

/** Values for ingle's option table, by name: `{ threads: 4, context: 8192 }`. */
export type Options = Record<string, string | number | boolean>;

/** Fields that `chat` and `generate` share. */
export interface SamplingRequest {
  /** Path or store name. May be left out when one model is loaded or configured. */
  model?: string;
  /** Most tokens to generate. */
  maxTokens?: number;
  /** 0 takes the most likely token always; above 1 is bolder. */
  temperature?: number;
  topP?: number;
  topK?: number;
  /** One seed gives one text. */
  seed?: number;
  /** Text that ends the answer. */
  stop?: string | string[];
  /** Any other request option of ingle by name, such as `min-p`. */
  options?: Options;
}

/** Continue a raw prompt, without a chat template. */
export interface GenerateRequest extends SamplingRequest {
  prompt: string;
}

/** Answer a conversation through the model's chat template. */
export interface ChatRequest extends SamplingRequest {
  messages: Message[];
  tools?: Tool[];
  toolChoice?: 'auto' | 'none' | 'required' | { type: 'function'; function: { name: string } };
  responseFormat?: ResponseFormat;
}

/** Why a stream ended. `toolCalls` is reserved for models that call tools. */
export type FinishReason = 'stop' | 'length' | 'cancelled' | 'toolCalls';

export interface Usage {
  promptTokens: number;
  /** Part of the prompt that was still in the cache and cost nothing. */
  cachedTokens: number;
  outputTokens: number;
  /** Tokens computed ahead of their turn (option `speculate`), and how many of them came true. */
  guessedTokens?: number;
  acceptedTokens?: number;
}

export interface Timings {
  promptSeconds: number;
  outputSeconds: number;
  tokensPerSecond: number;
}

/** What the plugin sends over a stream's channel. `seq` counts 1, 2, ... per stream. */
export type StreamEvent =
  | { event: 'started'; data: { seq: number; stream: string; model: string } }
  | { event: 'progress'; data: { seq: number; done: number; total: number } }
  | { event: 'text'; data: { seq: number; text: string; tokens: number } }
  | { event: 'reasoning'; data: { seq: number; text: string; tokens: number } }
  | {
      event: 'toolCall';
      data: { seq: number; index: number; id?: string; name?: string; arguments: string };
    }
  /** On attach: the start of the stream is no longer kept. */
  | { event: 'truncated'; data: { seq: number } }
  | { event: 'done'; data: { seq: number; finish: FinishReason; usage: Usage; timings: Timings } }
  | { event: 'error'; data: { seq: number; code: string; message: string; hint: string } };

/** A call of a tool, put together from its pieces. */
export interface ToolCall {
  index: number;
  id: string;
  name: string;
  /** JSON text, as the model wrote it. */
  arguments: string;
}

/** A finished stream. */
export interface Completion {
  text: string;
  reasoning: string;
  toolCalls: ToolCall[];
  finish: FinishReason;
  usage: Usage;
  timings: Timings;
  /** Id of the stream on the Rust side; empty when it was cancelled before it had one. */
  stream: string;
  model: string;
}

/** A stream of this window, running or ended in the last minutes. */
export interface StreamInfo {
  stream: string;
  model: string;
  kind: string;
  running: boolean;
  seq: number;
  /** As `Date.now()` gives it. */
  startedAt: number;
  /** The webview that started it. */
  label?: string;
}

/** What a model file says about itself. */
export interface ModelInfo {
  path: string;
  name: string;
  format: 'gguf' | 'safetensors' | (string & {});
  family: string;
  parameters: number;
  layers: number;
  width: number;
  feedForward: number;
  heads: number;
  kvHeads: number;
  headSize: number;
  /** Positions the model was trained for. */
  context: number;
  vocabulary: number;
  experts?: number;
  expertsUsed?: number;
  /** Number of tensors of each type. */
  tensorTypes: Record<string, number>;
  tensors: number;
  tokenizer: string;
  specialTokens: Record<string, { id: number; text: string }>;
  chatTemplate: boolean;
  memory: {
    weights: number;
    copied: number;
    kvPerToken: number;
    kvAtDefaultContext: number;
    total: number;
  };
  loadSeconds: number;
  [key: string]: unknown;
}

/** Result of the command `load_model`. */
export interface LoadedModel {
  id: string;
  name: string;
  path: string;
  info: ModelInfo;
  loadSeconds: number;
  device: string;
}

/** A model in the store. */
export interface StoredModel {
  name: string;
  path: string;
  bytes: number;
  format: string;
  source: string | null;
  complete: boolean;
  loaded: boolean;
  [key: string]: unknown;
}

export type LoadEvent =
  { event: 'progress'; data: { done: number; what: string } } | { event: 'done'; data?: unknown };

export interface LoadProgress {
  /** 0 to 1. */
  done: number;
  what: string;
}

export interface DownloadProgress {
  phase: 'resolve' | 'download' | 'verify' | 'done' | (string & {});
  file: string;
  fileIndex: number;
  files: number;
  bytesDone: number;
  /** null while unknown. */
  bytesTotal: number | null;
  /** Bytes that an earlier try had already fetched. */
  bytesResumed: number;
  bytesPerSecond: number;
  secondsLeft: number | null;
}

export type DownloadEvent =
  | { event: 'started'; data: { source: string; download?: string } }
  | { event: 'progress'; data: DownloadProgress }
  | { event: 'done'; data: { model: StoredModel } }
  | { event: 'error'; data: { code: string; message: string; hint: string } };

/** A running download. */
export interface DownloadInfo {
  download: string;
  source: string;
  progress: DownloadProgress | null;
}

export interface EmbedRequest {
  model?: string;
  input: string | string[];
  /** How the hidden states of a text become one vector. Default: mean. */
  pooling?: 'mean' | 'last' | 'first';
  /** Scale each vector to length 1. Default: true. */
  normalize?: boolean;
  /** Keep only the first n values. */
  dimensions?: number;
}

export interface TemplateRequest {
  model?: string;
  messages: Message[];
  tools?: Tool[];
  /** End the prompt where the assistant's answer begins. Default: true. */
  addGenerationPrompt?: boolean;
  /** Variables the template may read, such as `enable_thinking`. */
  variables?: Record<string, Json>;
}

export interface Device {
  id: string;
  kind: 'cpu' | 'gpu' | (string & {});
  name: string;
  threads?: number;
  memoryBytes?: number;
  kernels?: string;
  usable: boolean;
  /** Why it cannot be used, when it cannot. */
  reason?: string;
  [key: string]: unknown;
}

export interface Problem {
  severity: string;
  what: string;
  hint: string;
}

/** What `doctor` found. */
export interface Report {
  version: string;
  system: Record<string, unknown>;
  devices: Device[];
  model: Record<string, unknown> | null;
  speed: Record<string, unknown> | null;
  problems: Problem[];
  [key: string]: unknown;
}

/** T with every field optional, at every depth: an object that is still being written. */
export type DeepPartial<T> = T extends (infer U)[]
  ? DeepPartial<U>[]
  : T extends readonly (infer U)[]
    ? readonly DeepPartial<U>[]
    : T extends (...args: never[]) => unknown
      ? T
      : T extends object
        ? { [K in keyof T]?: DeepPartial<T[K]> }
        : T;
