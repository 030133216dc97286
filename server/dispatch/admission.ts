/**
 * What a client may do before it has given the password, and after it has given the readers' password. If a
 * password is set, each session has one and asks it about every request and every turn.
 *
 * @module
 */

import type { Client } from "../command.ts";
import { badRequest, busy, unauthorized } from "../reply.ts";
import type { Time, Timer } from "../time.ts";
import { refused, type Request } from "./request.ts";
import type { WrongPasswords } from "./wrong_passwords.ts";

/** The longest line of a client that has not given the password, in bytes. */
export const UNAUTHORIZED_LINE_MAX = 1_024;

/** A client's address, and what its guesses are counted with. */
export interface Guesser {
  /** The address that its guesses are counted under, without the port. */
  readonly hostname: string;
  /** The wrong passwords of all clients. */
  readonly wrongPasswords: WrongPasswords;
  /** The time by which it waits. */
  readonly time: Time;
}

/** The admission of one client. */
export class Admission {
  readonly #client: Client;
  readonly #guesser: Guesser;
  /** How many wrong passwords of this client have been counted for its address. */
  #counted = 0;
  #pause: (PromiseWithResolvers<void> & { readonly timer: Timer }) | undefined;

  /** The admission of a client that has just connected. */
  constructor(client: Client, guesser: Guesser) {
    this.#client = client;
    this.#guesser = guesser;
  }

  /** The request, or a refused one in its place if this client may not make it. */
  check(request: Request): Request {
    const { access } = this.#client;
    if (access === "all") return request;
    const { line, operation } = request;
    if (access === "read") {
      return operation?.command.changes === true ? { ...request, reply: unauthorized } : request;
    }
    if (line.end - line.start > UNAUTHORIZED_LINE_MAX) {
      return refused(line, badRequest("line too long"));
    }
    const { wrongPasswords, hostname } = this.#guesser;
    if (wrongPasswords.isRefused(hostname)) {
      return { ...request, reply: busy("too many wrong passwords; try again later") };
    }
    if (operation === undefined || operation.command.open) return request;
    return { ...request, reply: unauthorized };
  }

  /** Whether the client has given a wrong password since the last pause. */
  get hasGuessedWrong(): boolean {
    return this.#client.wrongPasswords > this.#counted;
  }

  /** Begins the pause after a wrong password. */
  pause(): void {
    const { wrongPasswords, hostname, time } = this.#guesser;
    this.#counted = this.#client.wrongPasswords;
    const pause = Promise.withResolvers<void>();
    const ms = wrongPasswords.count(hostname);
    this.#pause = { ...pause, timer: time.after(ms, pause.resolve) };
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
}
