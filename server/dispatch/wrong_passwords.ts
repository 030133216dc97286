/**
 * Slows down who guesses passwords, by the address that the guesses come from. The listener has one of these
 * for all of its connections.
 *
 * The reply to a wrong password waits, and so does its client alone. The waits of one address add up, because
 * a guesser may come with many connections and leave without the reply: where they have come to too much,
 * guesses from there are refused unseen. Whoever has the right password waits for nobody until then.
 *
 * @module
 */

import type { Time } from "../time.ts";

/** How long a wrong password takes, in milliseconds: so many guesses an address has in the long run. */
const WRONG_MS = 200;
/** From what sum of waits on an address is refused, in milliseconds. */
const WAIT_MS_MAX = 10_000;
/** How much of an address of IPv6 is the network, which one guesser may have whole (RFC 4291 section 2.5.4). */
const NETWORK_GROUPS = 4;

/** The wrong passwords of late. */
export class WrongPasswords {
  readonly #time: Time;
  /** Until when the guesses of an address have to wait, by the time. */
  readonly #until = new Map<string, number>();

  /** Waits go by this time. */
  constructor(time: Time) {
    this.#time = time;
  }

  /** Counts a wrong password from an address; returns how long its reply must wait, in milliseconds. */
  count(hostname: string): number {
    const now = this.#time.now();
    const network = networkOf(hostname);
    const until = Math.max(now, this.#until.get(network) ?? now) + WRONG_MS;
    this.#until.set(network, until);
    return until - now;
  }

  /** Whether no guess from this address is to be looked at for now. */
  isRefused(hostname: string): boolean {
    const until = this.#until.get(networkOf(hostname));
    return until !== undefined && until - this.#time.now() > WAIT_MS_MAX;
  }

  /** Forgets addresses whose waits are over. */
  sweep(): void {
    const now = this.#time.now();
    for (const [network, until] of this.#until) if (until < now) this.#until.delete(network);
  }

  /** How many addresses are remembered. */
  get size(): number {
    return this.#until.size;
  }
}

/** What counts as one address: all of IPv4, the network of IPv6. */
function networkOf(hostname: string): string {
  if (!hostname.includes(":") || hostname.includes(".")) return hostname;
  const [head = "", tail] = hostname.split("::");
  const [first, last] = [head, tail ?? ""].map((part) => part.split(":").filter(Boolean));
  const zeros = Array(Math.max(0, 8 - first!.length - last!.length)).fill("0");
  return [...first!, ...zeros, ...last!].slice(0, NETWORK_GROUPS).join(":");
}
