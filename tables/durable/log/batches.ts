/**
 * Asynchronous calls in batches: each begins when all calls of the one before have ended. Files read through
 * several descriptors this way.
 *
 * Deno looks at its sockets only when no call has ended meanwhile. If each call that ends began the next one,
 * some other would always have ended by then, and clients would wait for as long as there is anything to read.
 *
 * @module
 */

/** Makes calls, one with each of these resources at a time. */
export class Batches<Resource> {
  readonly #size: number;
  readonly #idle: Resource[];
  /** The calls that wait, in the order in which they came. */
  readonly #waiting: ((resource: Resource) => void)[] = [];

  /** A batch has as many calls as there are resources, at most. */
  constructor(resources: readonly Resource[]) {
    this.#size = resources.length;
    this.#idle = [...resources];
  }

  /** Makes a call with a resource of its own, as soon as it is its turn, and resolves or rejects as the call does. */
  async call<Result>(make: (resource: Resource) => Promise<Result>): Promise<Result> {
    const mustWait = this.#idle.length === 0 || this.#waiting.length > 0;
    const resource = mustWait
      ? await new Promise<Resource>((resolve) => this.#waiting.push(resolve))
      : this.#idle.pop()!;
    try {
      return await make(resource);
    } finally {
      this.#idle.push(resource);
      if (this.#idle.length === this.#size) this.#beginNext();
    }
  }

  #beginNext(): void {
    for (const begin of this.#waiting.splice(0, this.#size)) begin(this.#idle.pop()!);
  }
}
