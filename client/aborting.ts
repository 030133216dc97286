/**
 * Calls functions when a signal aborts, with one listener for each signal: Node.js warns about more than ten,
 * and removing one of many takes longer the more there are.
 *
 * @module
 */

/** The functions to call, for each signal that has some. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/** Calls a function when a signal aborts. Returns a function that cancels this. */
export function onAbort(signal: AbortSignal, call: () => void): () => void {
  const calls = waiting.get(signal) ?? listen(signal);
  calls.add(call);
  return () => {
    calls.delete(call);
    if (calls.size > 0 || waiting.get(signal) !== calls) return;
    waiting.delete(signal);
    signal.removeEventListener("abort", callAll);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const calls = new Set<() => void>();
  waiting.set(signal, calls);
  signal.addEventListener("abort", callAll);
  return calls;
}

/** Listens to every signal. */
function callAll(event: Event): void {
  for (const call of waiting.get(event.target as AbortSignal) ?? []) call();
}
