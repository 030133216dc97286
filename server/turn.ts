/**
 * The turn: all requests that arrive in one turn of the event loop are applied, then the table
 * commits once, then all their replies leave, one write for each connection.
 *
 * Group commit and the gathering of replies are this one mechanism. It makes `200 OK` durable and
 * fast at once, and since replies to reads wait for the same commit, nobody ever sees a value that
 * a crash could still take back. Connections join it; it calls the table, then the connections.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { type Table, TableError } from "../tables/table.ts";
import { Crowd } from "./crowd.ts";
import type { Figures } from "./figures.ts";
import { type Reply, serverError } from "./reply.ts";

/** A connection, as the turn sees it. */
export interface Member {
  /** Lets the replies of this turn leave. Where `failure` is given, it takes the place of each. */
  release(failure?: Reply): void;
}

/** The current turn of a server. */
export class Turn {
  readonly #table: Table;
  readonly #figures: Figures;
  readonly #onFatal: (error: unknown) => void;
  readonly #crowd: Crowd;
  #members: Member[] = [];

  /** `onFatal` is called behind the replies where the table can't go on: the server must end. */
  constructor(
    { table, figures, onFatal }: {
      table: Table;
      figures: Figures;
      onFatal: (error: unknown) => void;
    },
  ) {
    this.#table = table;
    this.#figures = figures;
    this.#onFatal = onFatal;
    this.#crowd = new Crowd(figures);
  }

  /** Puts a connection that has replies into this turn; once a turn for each. */
  join(member: Member): void {
    const isFirst = this.#members.push(member) === 1;
    // A client that is alone waits for nobody.
    if (this.#figures.connections === 1) this.#end();
    // setImmediate runs when all that has arrived is read: a timer would wait a millisecond.
    else if (isFirst) setImmediate(() => this.#end());
  }

  /** For a member: until the others have had their turn; undefined where none of them waits for another. */
  get others(): Promise<void> | undefined {
    return this.#crowd.others;
  }

  #end(): void {
    const members = this.#members;
    if (members.length === 0) return;
    this.#crowd.noteTurn(members.length);
    this.#members = [];
    const error = this.#commit();
    const failure = error && serverError(error.message);
    for (const member of members) member.release(failure);
    if (error?.fatal) this.#onFatal(error);
  }

  /** Commits; returns what went wrong, after which the table is as it was before the turn. */
  #commit(): TableError | undefined {
    const begun = performance.now();
    try {
      if (this.#table.commit()) this.#figures.countCommit(performance.now() - begun);
      return undefined;
    } catch (error) {
      console.error("Cannot commit:", error);
      // Only the table knows when it can't go on: a mistake of ours is this turn's alone.
      return error instanceof TableError ? error : new TableError("internal error");
    }
  }
}
