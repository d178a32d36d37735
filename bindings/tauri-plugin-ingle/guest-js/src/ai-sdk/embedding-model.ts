import type {
  EmbeddingModelV4,
  EmbeddingModelV4CallOptions,
  EmbeddingModelV4Result,
} from '@ai-sdk/provider';
import { embed, type EmbedRequest } from '../index.js';

export type EmbeddingSettings = Pick<EmbedRequest, 'pooling' | 'normalize' | 'dimensions'>;

export class IngleEmbeddingModel implements EmbeddingModelV4 {
  readonly specificationVersion = 'v4';
  readonly provider = 'ingle';
  readonly maxEmbeddingsPerCall = Infinity;
  /* One engine computes one after the other. */
  readonly supportsParallelCalls = false;

  constructor(
    readonly modelId: string,
    private readonly settings: EmbeddingSettings,
  ) {}

  async doEmbed(call: EmbeddingModelV4CallOptions): Promise<EmbeddingModelV4Result> {
    call.abortSignal?.throwIfAborted();
    const vectors = await embed({
      ...this.settings,
      ...(call.dimensions === undefined ? {} : { dimensions: call.dimensions }),
      model: this.modelId,
      input: call.values,
    });
    // The command cannot be stopped half way, but nobody shall get an answer they gave up on.
    call.abortSignal?.throwIfAborted();
    return { embeddings: vectors.map((vector) => Array.from(vector)), warnings: [] };
  }
}
