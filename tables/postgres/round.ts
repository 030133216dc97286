/**
 * Statements that go to PostgreSQL together and are answered together, in one round trip: the engine synchronises, and
 * sends what it has, once for all of them ("extended query", PostgreSQL's documentation, section 55.2.3). It carries
 * out none behind one that has failed.
 *
 * @module
 */

import pg from "npm:pg@8.23.1";
import type { Answer, Rows, Statement } from "./session.ts";

/** How messages leave, as far as it is used here: the package has no types. */
export interface Wire {
  /** Has a statement prepared. */
  parse(message: { name: string; text: string }): void;
  /** Binds parameters to it. */
  bind(message: { statement: string; values: readonly unknown[] }): void;
  /** Carries it out. */
  execute(message: Record<never, never>): void;
  /** Ends the round: the engine sends what it has. */
  sync(): void;
}

/** A round of statements. The client of the package calls its methods. */
export class Round extends pg.Query {
  /** What became of the statements so far. */
  readonly answers: Answer[] = [];
  readonly #statements: readonly Statement[];
  /** The names of the statements that the session has prepared. */
  readonly #prepared: Set<string>;
  /** The names that are prepared in this round, and not yet confirmed. */
  readonly #preparing: string[] = [];
  readonly #done = Promise.withResolvers<void>();
  #rows: (readonly (string | null)[])[] = [];

  /** The names of statements that it prepares are added to `prepared`. */
  constructor(statements: readonly Statement[], prepared: Set<string>) {
    super({ text: "" });
    this.#statements = statements;
    this.#prepared = prepared;
  }

  /** Resolves when there is an answer for each statement. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Sends the statements. */
  submit(wire: Wire): null {
    for (const { name = "", text, values = [] } of this.#statements) {
      if (!this.#prepared.has(name)) {
        wire.parse({ name, text });
        this.#preparing.push(name);
        if (name !== "") this.#prepared.add(name);
      }
      const all = values.map((value) => typeof value === "number" ? String(value) : value);
      wire.bind({ statement: name, values: all });
      wire.execute({});
    }
    wire.sync();
    return null;
  }

  /** The engine has prepared the next of the statements that it did not know. */
  noteParsed(): void {
    this.#preparing.shift();
  }

  /** Takes a row of the statement that is answered next. */
  handleDataRow({ fields }: { fields: Rows[number] }): void {
    this.#rows.push(fields);
  }

  /** Takes the end of its answer. */
  handleCommandComplete({ text }: { text: string }): void {
    this.answers.push({ rows: this.#rows, command: text });
    this.#rows = [];
  }

  /** A statement has failed, or the connection: nothing behind it has been carried out, or nobody knows. */
  handleError(error: unknown): void {
    for (const name of this.#preparing) this.#prepared.delete(name);
    // What has failed behind the last one is the commit of them all.
    if (this.answers.length === this.#statements.length) this.answers.pop();
    while (this.answers.length < this.#statements.length) this.answers.push({ error });
    this.#done.resolve();
  }

  /** Takes the end of the round. */
  handleReadyForQuery(): void {
    this.#done.resolve();
  }
}
