/**
 * Goes through a stream until it ends, or at once when the signal comes: a source that says nothing is not waited for.
 * It is left as it is then, for whoever ends the process.
 */
export async function* untilAborted<Item>(
  stream: AsyncIterable<Item>,
  signal: AbortSignal,
): AsyncGenerator<Item, void, undefined> {
  const iterator = stream[Symbol.asyncIterator]();
  // One listener, and no race with a promise that lives as long as the stream: it would keep every item.
  let wake: () => void = () => undefined;
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort);
  let isIdle = true;
  try {
    while (!signal.aborted) {
      isIdle = false;
      const next = await new Promise<IteratorResult<Item, unknown> | null>((resolve, reject) => {
        wake = () => resolve(null);
        iterator.next().then(resolve, reject);
      });
      if (next === null || next.done === true) return;
      isIdle = true;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    // One that still waits for its next item would not return before that comes.
    if (isIdle) await iterator.return?.();
  }
}
