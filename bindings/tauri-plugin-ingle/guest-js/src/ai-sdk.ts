/**
 * A provider for the AI SDK (`ai`): models that run inside the app.
 *
 * ```ts
 * import { streamText } from 'ai';
 * import { createIngle } from 'tauri-plugin-ingle-api/ai-sdk';
 *
 * const ingle = createIngle();
 * const { textStream } = streamText({ model: ingle('smollm2'), prompt: 'Hello' });
 * ```
 *
 * @packageDocumentation
 */
import type { EmbeddingModelV4, LanguageModelV4 } from '@ai-sdk/provider';
import { IngleEmbeddingModel, type EmbeddingSettings } from './ai-sdk/embedding-model.js';
import { IngleLanguageModel, type ModelSettings } from './ai-sdk/language-model.js';
import { IngleError } from './index.js';

export type { EmbeddingSettings, ModelSettings };

/** Call it with a path or store name to get a model. */
export interface IngleProvider {
  (modelId: string, settings?: ModelSettings): LanguageModelV4;
  readonly specificationVersion: 'v4';
  languageModel(modelId: string, settings?: ModelSettings): LanguageModelV4;
  embeddingModel(modelId: string, settings?: EmbeddingSettings): EmbeddingModelV4;
  /** There are none: it throws. */
  imageModel(modelId: string): never;
}

/** @param defaults settings for every language model: temperature, options ... */
export function createIngle(defaults: ModelSettings = {}): IngleProvider {
  const languageModel = (modelId: string, settings: ModelSettings = {}): LanguageModelV4 =>
    new IngleLanguageModel(modelId, {
      ...defaults,
      ...settings,
      options: { ...defaults.options, ...settings.options },
    });
  return Object.assign(
    (modelId: string, settings?: ModelSettings) => languageModel(modelId, settings),
    {
      specificationVersion: 'v4' as const,
      languageModel,
      embeddingModel: (modelId: string, settings: EmbeddingSettings = {}): EmbeddingModelV4 =>
        new IngleEmbeddingModel(modelId, settings),
      imageModel: (modelId: string): never => {
        throw new IngleError('unsupported', `${modelId}: ingle has no image models`);
      },
    },
  );
}

/** A provider with nothing set. */
export const ingle: IngleProvider = createIngle();
