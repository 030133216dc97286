/**
 * Memory that runs out: while a function runs, large arrays can't be allocated.
 *
 * @module
 */

/** Smaller arrays never fail: where there is no memory even for those, the process ends anyway. */
const LARGE_BYTES_MIN = 100_000;

/** Runs a function in which the large arrays that `isFailing` chooses can't be allocated, as the engine says it. */
export function withFailingMemory<Result>(isFailing: () => boolean, run: () => Result): Result {
  const { Uint8Array, Int32Array } = globalThis;
  const failing = <Type extends typeof Uint8Array | typeof Int32Array>(type: Type): Type =>
    new Proxy(type, {
      construct(target, args: [number]) {
        const bytes = Number(args[0]) * target.BYTES_PER_ELEMENT;
        if (bytes >= LARGE_BYTES_MIN && isFailing()) {
          throw new RangeError("Array buffer allocation failed");
        }
        return Reflect.construct(target, args);
      },
    });
  globalThis.Uint8Array = failing(Uint8Array);
  globalThis.Int32Array = failing(Int32Array);
  try {
    return run();
  } finally {
    Object.assign(globalThis, { Uint8Array, Int32Array });
  }
}
