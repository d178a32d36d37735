import { useSyncExternalStore } from 'react';

/** A value that components watch. `set` merges; `useStore` draws again when the picked part changes. */
export class Store<T extends object> {
  #value: T;
  readonly #watchers = new Set<() => void>();

  constructor(initial: T) {
    this.#value = initial;
  }

  get value(): T {
    return this.#value;
  }

  set(part: Partial<T>): void {
    this.#value = { ...this.#value, ...part };
    for (const watcher of [...this.#watchers]) watcher();
  }

  readonly subscribe = (watcher: () => void): (() => void) => {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  };
}

/** `pick` must return the same object for the same state (parts of the state, not new objects). */
export function useStore<T extends object, R>(store: Store<T>, pick: (value: T) => R): R {
  return useSyncExternalStore(store.subscribe, () => pick(store.value));
}
