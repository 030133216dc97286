/**
 * Slows down password guessing, by the address that guesses come from. The listener has one of these for all
 * of its connections.
 *
 * The reply to a wrong password is delayed, which makes only its own client wait. The delays of one address
 * add up, because an attacker may use many connections and not wait for replies: once they exceed a limit,
 * guesses from there are refused unseen. Until then, a client with the right password waits for nobody.
 *
 * @module
 */

import type { Time } from "../time.ts";

/** How long a wrong password takes, in milliseconds; this sets the long-run rate of guesses of an address. */
const WRONG_MS = 200;
/** From this sum of waits on, an address is refused, in milliseconds. */
const WAIT_MS_MAX = 10_000;
/** How much of an IPv6 address is the network, all of which one attacker may have (RFC 4291 section 2.5.4). */
const NETWORK_GROUPS = 4;

/** The recent wrong passwords. */
export class WrongPasswords {
  readonly #time: Time;
  /** Until when the guesses of each address have to wait. */
  readonly #until = new Map<string, number>();

  /** Waits are measured by this time. */
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

  /** Whether guesses from this address are refused unseen for now. */
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
