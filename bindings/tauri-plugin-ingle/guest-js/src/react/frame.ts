/** Runs a function once per animation frame, however often it is asked for. */
export class FrameQueue {
  private cancelPending: (() => void) | null = null;

  constructor(private readonly run: () => void) {}

  /** Before the next frame is drawn. A hidden page draws none, so a timer stands in. */
  soon(): void {
    if (this.cancelPending) return;
    const fire = (): void => {
      this.cancelPending = null;
      this.run();
    };
    if (typeof requestAnimationFrame === 'function' && document.visibilityState !== 'hidden') {
      const frame = requestAnimationFrame(fire);
      this.cancelPending = () => {
        cancelAnimationFrame(frame);
      };
    } else {
      const timer = setTimeout(fire, 50);
      this.cancelPending = () => {
        clearTimeout(timer);
      };
    }
  }

  now(): void {
    this.drop();
    this.run();
  }

  drop(): void {
    this.cancelPending?.();
    this.cancelPending = null;
  }
}

/** State outside React that is shown once per frame. For `useSyncExternalStore`. */
export class FrameStore<State> {
  private shown: State;
  private readonly listeners = new Set<() => void>();
  private readonly frames = new FrameQueue(() => {
    this.show();
  });

  constructor(protected state: State) {
    this.shown = state;
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly snapshot = (): State => this.shown;

  /** Changes the state; it is shown with the next frame, or at once. */
  protected set(change: Partial<State>, when: 'frame' | 'now' = 'now'): void {
    this.state = { ...this.state, ...change };
    if (when === 'frame') this.frames.soon();
    else this.frames.now();
  }

  private show(): void {
    if (this.shown === this.state) return;
    this.shown = this.state;
    for (const listener of this.listeners) listener();
  }
}
