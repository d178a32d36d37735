import { call, compact } from './invoke.js';

/**
 * Keeps what the model has read, so that a later start goes on without reading it again.
 * The name may hold letters, digits, dot, line and underscore; the file lies in the app's data.
 */
export async function saveSession(name: string, model?: string): Promise<void> {
  await call<null>('save_session', compact({ name, model }));
}

/** Puts a saved session back. */
export async function loadSession(name: string, model?: string): Promise<void> {
  await call<null>('load_session', compact({ name, model }));
}
