import type { IngleError } from './errors.js';

/** A value that changes: every reader sees the newest, a slow one skips those between. */
export class Latest<T> {
  value: T | undefined;
  private version = 0;
  private ended = false;
  private error: IngleError | undefined;
  private waiting: (() => void)[] = [];

  set(value: T): void {
    this.value = value;
    this.version++;
    this.wake();
  }

  end(error?: IngleError): void {
    this.ended = true;
    this.error = error;
    this.wake();
  }

  async *read(): AsyncGenerator<T, undefined> {
    let seen = 0;
    for (;;) {
      if (seen !== this.version) {
        seen = this.version;
        yield this.value as T;
      } else if (this.error) throw this.error;
      else if (this.ended) return undefined;
      else await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
}
