/** A ReadableStream that can also be iterated with `for await`, in every webview. */
export type IterableStream<T> = ReadableStream<T> & AsyncIterable<T>;

/** Pulls from an iterator; cancelling the stream leaves the iterator. */
export function readableFrom<In, Out>(
  open: () => AsyncIterator<In, unknown>,
  map: (item: In) => Out | undefined,
): IterableStream<Out> {
  let source: AsyncIterator<In, unknown> | undefined;
  const stream = new ReadableStream<Out>(
    {
      start() {
        source = open();
      },
      async pull(controller) {
        for (;;) {
          const item = await source!.next();
          if (item.done) {
            controller.close();
            return;
          }
          const value = map(item.value);
          if (value !== undefined) {
            controller.enqueue(value);
            return;
          }
        }
      },
      async cancel() {
        await source!.return?.();
      },
    },
    { highWaterMark: 0 },
  );
  return iterable(stream);
}

/* WebKit came late to iterating a ReadableStream. */
function iterable<T>(stream: ReadableStream<T>): IterableStream<T> {
  if (!(Symbol.asyncIterator in stream))
    Object.defineProperty(stream, Symbol.asyncIterator, {
      value: () => iterate(stream),
    });
  return stream as IterableStream<T>;
}

export function iterate<T>(stream: ReadableStream<T>): AsyncIterableIterator<T, undefined> {
  const reader = stream.getReader();
  return {
    async next() {
      const item = await reader.read();
      if (!item.done) return { done: false, value: item.value };
      reader.releaseLock();
      return { done: true, value: undefined };
    },
    async return() {
      await reader.cancel();
      reader.releaseLock();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
