/**
 * The table that lives in PostgreSQL, which holds the data itself: a server has nothing of it but what a turn has
 * read. A turn is one transaction of two round trips: it reads what its requests name, runs them, and stores what
 * they have changed. Several servers may use one table.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { OpenError } from "../durable/errors.ts";
import { NO_REPORT, type Report } from "../report.ts";
import { type Clock, type SharedTable, TableError } from "../table.ts";
import { Text } from "../text.ts";
import { Health, lookAtSettings } from "./health.ts";
import { formatLocation, type PostgresLocation } from "./location.ts";
import {
  ConflictError,
  isAnswer,
  isOfStatement,
  isReadOnly,
  LostError,
  outcomeOf,
  UncertainError,
  whyOf,
} from "./outcome.ts";
import { Primary } from "./primary.ts";
import { prepare } from "./schema.ts";
import { type Answer, failureOf, type Rows, type Session, type Statement } from "./session.ts";
import type { TlsOptions } from "./session.ts";
import {
  BEGIN,
  COMMIT,
  EXPIRED_KEYS_MAX,
  FENCE,
  NOTHING,
  ROLLBACK,
  SKIPPED_KEYS_MAX,
  Statements,
} from "./statements.ts";
import { View } from "./view.ts";

/** How to open a table. */
export interface PostgresOptions extends PostgresLocation {
  /** How long the engine may take for a request, in milliseconds. */
  readonly timeout: number;
  /** Undefined where none is set. */
  readonly password: string | undefined;
  /** Set where the sessions are to be encrypted. */
  readonly tls: TlsOptions | undefined;
  /** Tells of what happens to the table. */
  readonly report?: Report;
  /** The clock by which keys expire, in place of the engine's; tests inject their own. */
  readonly now?: Clock;
  /** Stands between the table and the engine; tests lose answers there. */
  readonly wrap?: (send: Send) => Send;
}

/** Sends statements by a session. */
export type Send = (
  session: Session,
  statements: readonly Statement[],
  deadline: number,
) => Promise<Answer[]>;

/** How many bytes of values to read at once, so that no turn reads more than its clients will take. */
const VALUE_BYTES_MAX = 4_194_304;
/** After how many conflicts in a row a turn keeps others from writing. */
const CONFLICTS_MAX = 3;
/** How long to wait after a conflict, at most, and for a session that was lost, in milliseconds. */
const [BACKOFF_MS_MAX, RETRY_MS] = [8, 50];
/** How often to remove expired keys, and to count all keys, in milliseconds. */
const SWEEP_MS = 1_000;
/** How often a server that changes nothing shows that it is there, in milliseconds. */
const SEEN_MS = 86_400_000;
/** A failure of COMMIT with such a SQLSTATE does not say whether it took place. */
const OPEN_ENDED = /^(08|25P03|53|57|58|XX)/;

/** A table in PostgreSQL. Its turns come one after another. */
export class PostgresTable implements SharedTable {
  readonly view: View;
  readonly isCopied = false;
  /** The engine has a limit for a value alone, 1 GB, which no line reaches. */
  readonly changedBytesMax: number = Infinity;
  readonly #options: PostgresOptions;
  readonly #primary: Primary;
  readonly #statements: Statements;
  readonly #server = crypto.randomUUID();
  readonly #send: Send;
  /** The session whose transaction the turn reads in. */
  #session: Session | undefined;
  /** Whether the commits of others wait for a standby: what this turn reads is true only if it has one, too. */
  #isFenced = false;
  #isAlone = false;
  #conflictsInRow = 0;
  /** The number of the last turn of this server that was to be stored. */
  #attempt = 0;
  #sweptAt = performance.now();
  #seenAt = performance.now();
  readonly #health: Health;
  readonly #counts = { calls: 0, conflicts: 0, expired: 0 };

  private constructor(options: PostgresOptions) {
    this.#options = options;
    this.#health = new Health(options.report ?? NO_REPORT);
    this.#primary = new Primary({ ...options, name: `keyline ${this.#server}` });
    this.#statements = new Statements(options.table);
    const send: Send = (session, statements, deadline) => session.send(statements, deadline);
    this.#send = options.wrap?.(send) ?? send;
    this.view = new View({ location: formatLocation(options), stats: () => this.#stats() });
  }

  /** Opens a table, and makes it where there is none. Throws OpenError. */
  static async open(options: PostgresOptions): Promise<PostgresTable> {
    const table = new PostgresTable(options);
    const deadline = Date.now() + options.timeout;
    try {
      await prepare(table.#primary, { table: options.table, server: table.#server, deadline });
      await lookAtSettings(table.#primary, { report: options.report ?? NO_REPORT, deadline });
      await table.#noteCount(deadline);
    } catch (error) {
      table.close();
      const { message } = error as Error;
      const why = whyOf(error);
      const detail = why === message ? "" : ` (${why})`;
      throw new OpenError(`Cannot open ${table.view.location}: ${message}${detail}.`, {
        cause: error,
      });
    }
    return table;
  }

  /** The engine's clock, by which keys expire, as of the last turn. */
  get now(): Clock {
    return () => this.view.now();
  }

  /** Whether the engine answered when it was asked last. */
  get isReadable(): boolean {
    return this.#health.isReadable;
  }

  /** Does the work that comes between turns, once in a while. */
  async begin(deadline: number): Promise<void> {
    if (!this.#health.isWell || performance.now() - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = performance.now();
    try {
      if (await this.sweep(deadline)) this.#sweptAt = -Infinity;
    } catch {
      // The turn will tell.
    }
  }

  async #noteCount(deadline: number): Promise<void> {
    const [counted] = await this.#primary.send([this.#statements.count(null)], deadline);
    this.view.noteCount(Number(counted!.rows[0]![0]));
  }

  /** Removes some of the keys that have expired, and counts the others. True: there may be more. Throws TableError. */
  async sweep(deadline: number): Promise<boolean> {
    const now = this.#options.now?.() ?? null;
    const sql = this.#statements;
    const statements = [sql.sweep(this.#server, now), sql.count(now)];
    const [swept, counted] = await this.#primary.send(statements, deadline);
    const removed = Number(swept!.rows[0]![0]);
    this.#counts.expired += removed;
    this.view.noteCount(Number(counted!.rows[0]![0]));
    return removed === EXPIRED_KEYS_MAX;
  }

  /**
   * Reads what the requests of the turn have named, or have asked for in vain. All that a turn reads is of one
   * moment; where that is over, the turn begins anew, and all of its requests must run again in any case. Throws
   * TableError.
   */
  async read(deadline: number): Promise<void> {
    for (;;) {
      try {
        return await this.#readOnce(deadline);
      } catch (error) {
        const outcome = outcomeOf(error);
        this.#abandon(outcome);
        const isPassing = outcome instanceof ConflictError || outcome instanceof LostError;
        if (isPassing && Date.now() + RETRY_MS < deadline) {
          await delay(RETRY_MS);
          continue;
        }
        const failure = outcome instanceof ConflictError
          ? new TableError("others keep the table locked", { cause: outcome })
          : outcome;
        this.#health.noteProblem(failure, isReadOnly(failure) ? "of changes" : "of all");
        throw failure;
      }
    }
  }

  /** Lets the turn begin anew, and keep all others from writing until it ends. */
  keepOthersOut(): void {
    this.#isAlone = true;
    this.#rollBack();
    this.view.renew(true);
  }

  /**
   * Stores what the turn has changed, or, where it has changed nothing, makes sure that what it has read was
   * true. False: others were first. Then nothing took place, and the turn must read, and run, again.
   *
   * Throws TableError where nothing took place either, and UncertainError where nobody knows.
   */
  async commit(deadline: number): Promise<boolean> {
    const session = this.#session;
    if (session === undefined) return true; // Nothing was read, and so nothing was changed.
    const { isChanged } = this.view;
    if (!isChanged && !this.#isFenced) {
      // It was true when it was read, whatever becomes of this.
      this.#rollBack();
      return this.#complete(false);
    }
    const statements = isChanged ? this.#changes() : [FENCE, COMMIT];
    const attempt = this.#attempt;
    session.takeWarning();
    const answers = await this.#send(session, statements, deadline);
    const failure = this.#failureOf(answers, session.takeWarning());
    if (failure === undefined) return this.#complete(isChanged);
    if (failure instanceof UncertainError) {
      this.#session = undefined;
      this.#primary.leave(true);
      this.view.forgetVersions();
      if (isChanged && await this.#settle(attempt, failure)) return this.#complete(true);
      return this.#again(failure, deadline);
    }
    if (failure instanceof ConflictError) {
      this.#counts.conflicts++;
      this.#conflictsInRow++;
      return this.#again(failure, deadline);
    }
    this.#abandon(failure);
    if (isChanged) {
      this.#health.noteProblem(failure, failure instanceof LostError ? "of all" : "of changes");
    }
    throw failure;
  }

  /** Ends a turn: what it has changed and not committed is undone. */
  end(): void {
    if (this.#session !== undefined) this.#rollBack();
    this.view.finish();
    this.#isAlone = false;
    this.#conflictsInRow = 0;
  }

  /**
   * Looks at the engine while there is nothing else to do, so that its loss and its return are noticed. Throws
   * TableError and UncertainError.
   */
  async follow(deadline: number): Promise<void> {
    await this.begin(deadline);
    await this.read(deadline);
    await this.commit(deadline);
    this.end();
    const isDue = performance.now() - this.#seenAt > SEEN_MS;
    if (this.#health.isWell && !isDue) return;
    await this.#primary.send([this.#statements.settle(this.#server)], deadline);
    this.#seenAt = performance.now();
    this.#health.noteSuccess();
  }

  /** Nothing can wait here that the engine does not do, or `begin`. */
  maintain(): boolean {
    return false;
  }

  /** Ends the use of the table. */
  close(): void {
    this.#primary.close();
  }

  async #readOnce(deadline: number): Promise<void> {
    const session = this.#session ?? await this.#primary.session(deadline);
    const { read, found, pages, count, blocks } = this.view.takeWanted();
    const keys = [...read, ...found];
    const [statements, readers] = [[] as Statement[], [] as ((rows: Rows) => void)[]];
    const add = (statement: Statement, reader: (rows: Rows) => void = () => {}) => {
      statements.push(statement);
      readers.push(reader);
    };
    const isFirst = this.#session === undefined;
    if (isFirst) {
      add(BEGIN);
      if (this.#isAlone) add(this.#statements.lock());
    }
    if (blocks > 0) {
      add(this.#statements.versions(blocks), (rows) => {
        for (const [last] of rows) this.view.addVersions(Number(last));
      });
    }
    if (isFirst || keys.length > 0) {
      add(this.#statements.rows({ read, found }, VALUE_BYTES_MAX), (rows) => {
        if (isFirst) {
          const [, now, , isFenced] = rows[0]!;
          this.view.setNow(this.#options.now?.() ?? Number(now));
          this.#isFenced = isFenced === "true";
        }
        for (const key of keys) this.view.setRow(key, null);
        for (let i = 1; i < rows.length; i++) {
          const [place, version, expiresAt, value] = rows[i]!;
          this.view.setRow(keys[Number(place) - 1]!, {
            value: typeof value === "string" ? Text.of(value) : undefined,
            version: Number(version),
            expiresAt: expiresAt === null ? null : Number(expiresAt),
          });
        }
      });
    }
    for (const [name, { prefix, after, limit }] of pages) {
      const place = { prefix: `${prefix}`, after: `${after}`, limit, now: this.view.now() };
      add(this.#statements.page(place), (rows) => {
        const keys = rows.map(([key, expiresAt]) =>
          [key!, expiresAt === null ? null : Number(expiresAt)] as const
        );
        const isCut = Number(rows.at(-1)?.[2]) === limit + SKIPPED_KEYS_MAX;
        this.view.setPage(name, { keys, hasMore: keys.length === limit || isCut });
      });
    }
    if (count) {
      add(this.#statements.count(this.view.now()), ([row]) => this.view.setCount(Number(row![0])));
    }
    this.#session = session;
    const answers = await this.#send(session, statements, deadline);
    const failure = failureOf(answers);
    if (failure !== undefined) throw failure;
    this.#counts.calls++;
    for (const [i, answer] of answers.entries()) readers[i]!((answer as { rows: Rows }).rows);
  }

  /** The statements that store what the turn has changed, in an order in which no two turns wait for each other. */
  #changes(): Statement[] {
    const { isCleared, updated, inserted, deleted, added } = this.view.changes();
    const sql = this.#statements;
    const list: Statement[] = [];
    const isMixed = updated.length > 0 && deleted.length > 0;
    if (isMixed) list.push(sql.lockRows([...updated.map(({ key }) => key), ...deleted]));
    if (updated.length > 0) list.push(sql.update(updated));
    if (inserted.length > 0) list.push(sql.insert(inserted));
    if (deleted.length > 0) list.push(sql.delete(deleted));
    const [first = NOTHING, ...rest] = list;
    const mark = { server: this.#server, attempt: ++this.#attempt, added };
    return [...(isCleared ? sql.clear() : []), sql.marked(first, mark), ...rest, COMMIT];
  }

  /** What has failed, and whether it is certain that nothing took place; undefined where all of it did. */
  #failureOf(
    answers: readonly Answer[],
    warning: string | undefined,
  ): ConflictError | TableError | UncertainError | undefined {
    const last = answers.at(-1)!;
    const before = answers.slice(0, -1).find((answer) =>
      "error" in answer && isAnswer(answer.error)
    );
    // The engine carries out nothing behind a statement that has failed.
    if (before !== undefined) return outcomeOf((before as { error: unknown }).error);
    if ("error" in last) {
      const code = String((last.error as { code?: unknown }).code);
      if (isAnswer(last.error) && !OPEN_ENDED.test(code)) return outcomeOf(last.error);
      return new UncertainError(whyOf(outcomeOf(last.error)), { cause: last.error });
    }
    if (last.command !== "COMMIT") return new ConflictError("the engine has rolled back");
    // Somebody has cancelled the wait for a standby: it is stored here, and may be lost with this machine.
    if (warning !== undefined) return new UncertainError(warning);
    return undefined;
  }

  /** Finds out whether a turn took place. Throws UncertainError where nobody knows. */
  async #settle(attempt: number, lost: UncertainError): Promise<boolean> {
    const deadline = Date.now() + this.#options.timeout / 2;
    const statements = [this.#statements.settle(this.#server)];
    while (Date.now() < deadline) {
      let session: Session;
      try {
        session = await this.#primary.session(deadline);
      } catch {
        continue;
      }
      session.takeWarning();
      const [answer] = await this.#send(session, statements, deadline);
      if ("error" in answer! || session.takeWarning() !== undefined) {
        this.#primary.leave(true);
        await delay(RETRY_MS);
        continue;
      }
      const last = answer!.rows[0]?.[0];
      if (typeof last !== "string") break;
      return Number(last) === attempt;
    }
    this.#health.noteProblem(new LostError(lost.message), "of all");
    this.view.finish();
    throw lost;
  }

  #complete(isChanged: boolean): true {
    this.#session = undefined;
    this.#counts.calls++;
    this.view.finish();
    this.#isAlone = false;
    this.#conflictsInRow = 0;
    if (isChanged) this.#seenAt = performance.now();
    if (isChanged || !this.isReadable) this.#health.noteSuccess();
    return true;
  }

  /** The turn must read and run again; throws where there is no time for that. */
  async #again(failure: Error, deadline: number): Promise<false> {
    this.#abandon(failure);
    if (Date.now() >= deadline) {
      const isConflict = failure instanceof ConflictError;
      const error = isConflict
        ? new TableError("others keep changing the table", { cause: failure })
        : new LostError(failure.message, { cause: failure });
      if (!isConflict) this.#health.noteProblem(error, "of all");
      throw error;
    }
    if (this.#conflictsInRow > 0) await delay(Math.random() * BACKOFF_MS_MAX);
    return false;
  }

  /** Leaves the transaction that has failed; the turn begins anew. */
  #abandon(failure: Error): void {
    if (failure instanceof ConflictError) {
      this.#isAlone ||= this.#conflictsInRow >= CONFLICTS_MAX;
    }
    if (isOfStatement(failure)) this.#rollBack();
    else {
      // Whatever it is: a new session is in no strange state.
      this.#session = undefined;
      this.#primary.leave();
      this.view.forgetVersions();
    }
    this.view.renew(this.#isAlone);
  }

  #rollBack(): void {
    // Nobody waits for it: the next statements come behind it.
    this.#session?.send([ROLLBACK], Date.now() + this.#options.timeout);
    this.#session = undefined;
  }

  #stats(): Record<string, number> {
    const { calls, conflicts, expired } = this.#counts;
    return { engine_calls: calls, conflicts, expired_keys: expired, ...this.#health.stats() };
  }
}
