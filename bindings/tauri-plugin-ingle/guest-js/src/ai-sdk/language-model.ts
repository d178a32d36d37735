import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4GenerateResult,
  LanguageModelV4StreamPart,
  LanguageModelV4StreamResult,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata,
  SharedV4Warning,
} from '@ai-sdk/provider';
import {
  chat,
  PartialJson,
  type ChatRequest,
  type ChatStream,
  type FinishReason,
  type StreamEvent,
  type Timings,
  type ToolCall,
  type Usage,
} from '../index.js';
import { toRequest } from './prompt.js';

export type ModelSettings = Omit<ChatRequest, 'messages' | 'model' | 'tools' | 'responseFormat'>;

type Emit = (part: LanguageModelV4StreamPart) => void;

export class IngleLanguageModel implements LanguageModelV4 {
  readonly specificationVersion = 'v4';
  readonly provider = 'ingle';
  readonly supportedUrls = {};

  constructor(
    readonly modelId: string,
    private readonly settings: ModelSettings,
  ) {}

  async doGenerate(call: LanguageModelV4CallOptions): Promise<LanguageModelV4GenerateResult> {
    const { request, warnings } = this.request(call);
    const stream = chat(request, { signal: call.abortSignal });
    let reasoningTokens = 0;
    for await (const event of stream)
      if (event.event === 'reasoning') reasoningTokens += event.data.tokens;
    const result = await stream.result;
    throwIfAborted(call);
    const content: LanguageModelV4Content[] = [];
    if (result.reasoning) content.push({ type: 'reasoning', text: result.reasoning });
    const text = jsonWanted(call) ? onlyJson(result.text) : result.text;
    if (text) content.push({ type: 'text', text });
    for (const one of result.toolCalls) content.push(toolCall(one));
    return {
      content,
      finishReason: finishReason(result.finish),
      usage: usageOf(result.usage, reasoningTokens),
      providerMetadata: metadata(result.timings),
      request: { body: request },
      response: { id: result.stream, modelId: result.model || this.modelId },
      warnings,
    };
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what throws here must reject
  async doStream(call: LanguageModelV4CallOptions): Promise<LanguageModelV4StreamResult> {
    const { request, warnings } = this.request(call);
    const source = chat(request, { signal: call.abortSignal });
    const stream = new ReadableStream<LanguageModelV4StreamPart>({
      start(controller) {
        const emit: Emit = (part) => {
          controller.enqueue(part);
        };
        relay(source, call, warnings, emit).then(
          () => {
            controller.close();
          },
          (error: unknown) => {
            controller.error(error);
          },
        );
      },
      async cancel() {
        await source.cancel();
      },
    });
    return { stream, request: { body: request } };
  }

  private request(call: LanguageModelV4CallOptions): ReturnType<typeof toRequest> {
    return toRequest(call, { ...this.settings, model: this.modelId });
  }
}

async function relay(
  source: ChatStream,
  call: LanguageModelV4CallOptions,
  warnings: SharedV4Warning[],
  emit: Emit,
): Promise<void> {
  emit({ type: 'stream-start', warnings });
  const blocks = new Blocks(emit, jsonWanted(call));
  try {
    for await (const event of source) {
      if (call.includeRawChunks) emit({ type: 'raw', rawValue: event });
      if (event.event === 'done') throwIfAborted(call);
      blocks.take(event);
    }
  } catch (error) {
    throwIfAborted(call);
    // The AI SDK wants failures of a running stream as a part, then the end.
    emit({ type: 'error', error });
    emit({
      type: 'finish',
      finishReason: { unified: 'error', raw: undefined },
      usage: usageOf(undefined, 0),
    });
  }
}

/* Text and reasoning are blocks with a start and an end, at most one open at a time. */
class Blocks {
  private open: 'text' | 'reasoning' | null = null;
  private count = 0;
  private reasoningTokens = 0;
  private sent = 0;
  private readonly calls = new Map<number, ToolCall>();
  private readonly json: PartialJson | null;

  constructor(
    private readonly emit: Emit,
    json: boolean,
  ) {
    this.json = json ? new PartialJson('object') : null;
  }

  take(event: StreamEvent): void {
    switch (event.event) {
      case 'started': {
        const { stream, model } = event.data;
        this.emit({ type: 'response-metadata', id: stream, modelId: model });
        break;
      }
      case 'text':
        this.delta('text', this.json ? this.jsonPart(this.json, event.data.text) : event.data.text);
        break;
      case 'reasoning':
        this.reasoningTokens += event.data.tokens;
        this.delta('reasoning', event.data.text);
        break;
      case 'toolCall':
        this.tool(event.data);
        break;
      case 'done':
        this.finish(event.data);
        break;
      default:
        break;
    }
  }

  /* What belongs to the value: prose and code fences around it would break the SDK's parser. */
  private jsonPart(json: PartialJson, text: string): string {
    const { source } = json.feed(text);
    const part = source.slice(this.sent);
    this.sent = Math.max(this.sent, source.length);
    return part;
  }

  private delta(kind: 'text' | 'reasoning', delta: string): void {
    if (!delta) return;
    if (this.open !== kind) {
      this.close();
      this.open = kind;
      this.emit({ type: `${kind}-start`, id: String(this.count) });
    }
    this.emit({ type: `${kind}-delta`, id: String(this.count), delta });
  }

  private close(): void {
    if (this.open) this.emit({ type: `${this.open}-end`, id: String(this.count++) });
    this.open = null;
  }

  private tool(piece: { index: number; id?: string; name?: string; arguments: string }): void {
    this.close();
    let known = this.calls.get(piece.index);
    if (!known) {
      known = {
        index: piece.index,
        id: piece.id ?? `call-${piece.index}`,
        name: piece.name ?? '',
        arguments: '',
      };
      this.calls.set(piece.index, known);
      this.emit({ type: 'tool-input-start', id: known.id, toolName: known.name });
    }
    known.arguments += piece.arguments;
    if (piece.arguments)
      this.emit({ type: 'tool-input-delta', id: known.id, delta: piece.arguments });
  }

  private finish(end: { finish: FinishReason; usage: Usage; timings: Timings }): void {
    this.close();
    for (const call of this.calls.values()) {
      this.emit({ type: 'tool-input-end', id: call.id });
      this.emit(toolCall(call));
    }
    this.emit({
      type: 'finish',
      finishReason: finishReason(end.finish),
      usage: usageOf(end.usage, this.reasoningTokens),
      providerMetadata: metadata(end.timings),
    });
  }
}

/* The SDK puts arrays and choices into an object, so that the outermost value always is one. */
function jsonWanted(call: LanguageModelV4CallOptions): boolean {
  const format = call.responseFormat;
  return format?.type === 'json' && (format.schema?.type ?? 'object') === 'object';
}

function onlyJson(text: string): string {
  const json = new PartialJson('object').feed(text);
  return json.state === 'complete' ? json.source : text;
}

function toolCall(call: ToolCall): LanguageModelV4Content & { type: 'tool-call' } {
  return { type: 'tool-call', toolCallId: call.id, toolName: call.name, input: call.arguments };
}

/* `AbortError` is what the AI SDK expects of a call that its signal ended. */
function throwIfAborted(call: LanguageModelV4CallOptions): void {
  const signal = call.abortSignal;
  if (signal?.aborted)
    throw signal.reason instanceof Error
      ? signal.reason
      : new DOMException('aborted', 'AbortError');
}

const UNIFIED: Record<string, LanguageModelV4FinishReason['unified']> = {
  stop: 'stop',
  length: 'length',
  cancelled: 'interrupted',
  toolCalls: 'tool-calls',
};

function finishReason(finish: FinishReason): LanguageModelV4FinishReason {
  return { unified: UNIFIED[finish] ?? 'other', raw: finish };
}

function usageOf(usage: Usage | undefined, reasoning: number): LanguageModelV4Usage {
  const total = usage?.outputTokens;
  return {
    inputTokens: {
      total: usage?.promptTokens,
      noCache: usage && usage.promptTokens - usage.cachedTokens,
      cacheRead: usage?.cachedTokens,
      cacheWrite: undefined,
    },
    outputTokens: {
      total,
      text: total === undefined ? undefined : total - reasoning,
      reasoning: usage && reasoning,
    },
  };
}

function metadata(timings: Timings): SharedV4ProviderMetadata {
  return { ingle: { ...timings } };
}
