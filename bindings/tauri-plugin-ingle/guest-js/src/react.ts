/**
 * React hooks: `useChat`, `useModel`, `useDownload`.
 *
 * @packageDocumentation
 */
export { useChat, type UseChat } from './react/use-chat.js';
export type { ChatMessage, ChatOptions, ChatState, ChatStatus } from './react/chat-store.js';
export { useModel, type UseModel, type UseModelOptions } from './react/use-model.js';
export {
  useDownload,
  type DownloadState,
  type UseDownload,
  type UseDownloadOptions,
} from './react/use-download.js';
