export type Args = Record<string, unknown>;
export type Commands = Record<string, (args: Args) => unknown>;

/** A Channel of the page, as the Rust side sees it. */
export interface Sender {
  send: (message: unknown) => void;
}

export const scenario = new URLSearchParams(location.search).get('mock') ?? 'ready';

export function sender(channel: unknown): Sender {
  const id = (channel as { id: number }).id;
  let index = 0;
  return {
    send: (message) => {
      const internals = (window as unknown as { __TAURI_INTERNALS__: Internals })
        .__TAURI_INTERNALS__;
      internals.runCallback(id, { message, index: index++ });
    },
  };
}

interface Internals {
  runCallback: (id: number, payload: unknown) => void;
}

/** What the plugin rejects with. */
export class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint = '',
  ) {
    super(message);
  }
}
