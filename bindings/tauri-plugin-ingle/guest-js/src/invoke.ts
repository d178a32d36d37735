import { Channel, invoke } from '@tauri-apps/api/core';
import { IngleError } from './errors.js';

/** True inside a Tauri webview, where the plugin can be called. */
export function isTauri(): boolean {
  if (typeof window === 'undefined') return false;
  const core = (window as { __TAURI_INTERNALS__?: { invoke?: unknown } }).__TAURI_INTERNALS__;
  return typeof core?.invoke === 'function';
}

function requireTauri(): void {
  if (!isTauri())
    throw new IngleError(
      'unsupported',
      'not inside a Tauri webview',
      'ingle runs in the Rust side of the app; open the page with `tauri dev`, not in a browser',
    );
}

/** Calls a command of the plugin. Every rejection is an IngleError. */
export async function call<T>(command: string, args: Record<string, unknown> = {}): Promise<T> {
  requireTauri();
  try {
    return await invoke<T>(`plugin:ingle|${command}`, args);
  } catch (error) {
    throw IngleError.from(error);
  }
}

/** A channel that can be closed from this side: what comes later is dropped. */
export interface Port<T> {
  readonly channel: Channel<T>;
  /**
   * Rust has let go of its end and every message has come. Tauri has no public way to learn that,
   * but it always calls this method then; where it does not, this stays pending.
   */
  readonly closed: Promise<void>;
  close(): void;
}

export function openPort<T>(onMessage: (message: T) => void): Port<T> {
  requireTauri();
  const channel = new Channel<T>();
  channel.onmessage = onMessage;
  const closing = channel as unknown as { cleanupCallback?: () => void };
  const cleanUp = closing.cleanupCallback?.bind(channel);
  const closed = new Promise<void>((resolve) => {
    closing.cleanupCallback = () => {
      cleanUp?.();
      resolve();
    };
  });
  return {
    channel,
    closed,
    close: () => {
      channel.onmessage = () => undefined;
    },
  };
}

/** The request without fields that are undefined, which Rust would see as null. */
export function compact<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}
