/** Runs `work` in the next animation frame, once, however often it is asked for; soon also in a hidden window. */
export function oncePerFrame(work: () => void): { ask: () => void; now: () => void } {
  let frame = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const run = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = 0;
    timer = undefined;
    work();
  };
  return {
    ask: () => {
      if (timer !== undefined) return;
      frame = requestAnimationFrame(run);
      // No frames are drawn while the window is hidden.
      timer = setTimeout(run, 250);
    },
    now: run,
  };
}
