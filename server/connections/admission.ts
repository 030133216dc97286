/**
 * What a client may do before it has finished its handshake and given the password. Its connection asks here
 * about each request, about each turn, and once in a while.
 *
 * @module
 */

import type { Client } from "../command.ts";
import { refused, type Request } from "../dispatch/gate.ts";
import { badRequest, busy } from "../reply.ts";
import type { Time, Timer } from "../turn/time.ts";
import type { Socket } from "./socket.ts";
import type { WrongPasswords } from "./wrong_passwords.ts";

/** The longest line of a client that has not given the password, in bytes. */
export const UNAUTHORIZED_LINE_MAX = 1_024;
/** How long the handshake and the password may take, in seconds. */
const SECONDS_MAX = 30;

/** The admission of one client. */
export class Admission {
  readonly #client: Client;
  readonly #socket: Pick<Socket, "remoteAddr" | "isHandshaking">;
  readonly #wrongPasswords: WrongPasswords;
  readonly #time: Time;
  /** How many sweeps it has taken so far. */
  #sweeps = 0;
  /** How many wrong passwords of this client have been counted for its address. */
  #counted = 0;
  #pause: (PromiseWithResolvers<void> & { readonly timer: Timer }) | undefined;

  /** A client that has just come. */
  constructor(
    client: Client,
    { socket, wrongPasswords, time }: {
      socket: Pick<Socket, "remoteAddr" | "isHandshaking">;
      wrongPasswords: WrongPasswords;
      time: Time;
    },
  ) {
    this.#client = client;
    this.#socket = socket;
    this.#wrongPasswords = wrongPasswords;
    this.#time = time;
  }

  /** The request, or in its place one that is refused, because of what it is before the password. */
  check(request: Request): Request {
    if (this.#client.authorized) return request;
    const { line } = request;
    if (line.end - line.start > UNAUTHORIZED_LINE_MAX) {
      return refused(line, badRequest("line too long"));
    }
    if (!this.#wrongPasswords.isRefused(this.#hostname)) return request;
    return { ...request, reply: busy("too many wrong passwords; try again later") };
  }

  /** Whether the client takes too long. Asked at this interval, in seconds. */
  isOverdue(interval: number): boolean {
    if (this.#client.authorized && this.#socket.isHandshaking !== true) return false;
    return this.#sweeps++ * interval >= SECONDS_MAX;
  }

  /** Whether the client has given a wrong password since the last pause. */
  get hasGuessedWrong(): boolean {
    return this.#client.wrongPasswords > this.#counted;
  }

  /** Begins the pause that a wrong password costs. */
  pause(): void {
    this.#counted = this.#client.wrongPasswords;
    const pause = Promise.withResolvers<void>();
    const ms = this.#wrongPasswords.count(this.#hostname);
    this.#pause = { ...pause, timer: this.#time.after(ms, pause.resolve) };
  }

  /** Whether a pause is under way. */
  get isPausing(): boolean {
    return this.#pause !== undefined;
  }

  /** Waits until the pause is over. */
  async pauseOver(): Promise<void> {
    await this.#pause?.promise;
    this.#pause = undefined;
  }

  /** Ends a pause early: the client has gone. */
  close(): void {
    this.#pause?.timer.cancel();
    this.#pause?.resolve();
  }

  get #hostname(): string {
    return (this.#socket.remoteAddr as Deno.NetAddr).hostname;
  }
}
