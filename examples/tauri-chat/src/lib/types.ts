/** Things the app keeps. What the plugin sends is typed by tauri-plugin-ingle-api. */

export type Role = 'user' | 'assistant';

/** `running` rows without a living stream were cut off by a crash or the end of the app: `interrupted`. */
export type MessageStatus = 'done' | 'running' | 'stopped' | 'length' | 'interrupted' | 'error';

export interface Failure {
  code: string;
  message: string;
  hint: string;
}

export interface Stats {
  promptTokens: number;
  cachedTokens: number;
  outputTokens: number;
  promptSeconds: number;
  outputSeconds: number;
  tokensPerSecond: number;
}

export interface Message {
  id: string;
  conversation: string;
  parent: string | null;
  role: Role;
  text: string;
  reasoning: string;
  status: MessageStatus;
  model: string | null;
  stream: string | null;
  error: Failure | null;
  stats: Stats | null;
  createdAt: number;
}

export interface Conversation {
  id: string;
  title: string;
  /** True once a person chose the title. */
  named: boolean;
  /** The last message of the branch that is shown. */
  head: string | null;
  createdAt: number;
  updatedAt: number;
}

/** An answer that is being written. */
export interface Live {
  conversation: string;
  phase: 'loading' | 'reading' | 'writing';
  /** 0..1 while the model loads or the prompt is read. */
  progress: number;
  text: string;
  reasoning: string;
  tokens: number;
  /** Known once the model began to read. */
  promptTokens: number;
  tokensPerSecond: number | null;
}
