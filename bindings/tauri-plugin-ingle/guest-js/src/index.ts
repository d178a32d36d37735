/**
 * Language models inside a Tauri app: the page's side of `tauri-plugin-ingle`.
 *
 * ```ts
 * import { chat, loadModel } from 'tauri-plugin-ingle-api';
 *
 * const model = await loadModel('smollm2');
 * for await (const event of model.chat({ messages: [{ role: 'user', content: 'Hello' }] }))
 *   if (event.event === 'text') output.append(event.data.text);
 * ```
 *
 * @packageDocumentation
 */
export * from './types.js';
export { IngleError, permissionFor, type ErrorCode } from './errors.js';
export { isTauri } from './invoke.js';
export { type IterableStream } from './readable.js';
export {
  attach,
  chat,
  ChatStream,
  generate,
  listStreams,
  resumeStreams,
  type AttachOptions,
  type StreamOptions,
} from './streams.js';
export {
  listModels,
  loadModel,
  Model,
  modelInfo,
  unloadModel,
  type LoadOptions,
} from './models.js';
export { loadSession, saveSession } from './sessions.js';
export { applyTemplate, detokenize, tokenize, type TokenizeOptions } from './tokens.js';
export { cosineSimilarity, decodeEmbeddings, embed } from './embed.js';
export { devices, doctor } from './system.js';
export {
  Download,
  downloadModel,
  listDownloads,
  removeModel,
  verifyModel,
  type DownloadOptions,
} from './downloads.js';
export {
  generateObject,
  ObjectStream,
  schemaInstruction,
  streamObject,
  withInstruction,
  type ObjectOptions,
  type ObjectRequest,
  type ObjectResult,
} from './objects.js';
export {
  jsonSchema,
  type Infer,
  type Schema,
  type StandardIssue,
  type StandardResult,
  type StandardSchema,
} from './schema.js';
export { validateJsonSchema, type Issue } from './json-schema.js';
export { parsePartialJson, PartialJson, type PartialJsonState } from './partial-json.js';
