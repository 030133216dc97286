/**
 * The primary of some servers of PostgreSQL, and a session with it, one at a time. Where that is lost, the
 * servers are asked in turn until one of them is a primary.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { TableError } from "../table.ts";
import { formatHost, type Host } from "./location.ts";
import { LostError, outcomeOf } from "./outcome.ts";
import { type Answer, failureOf, type Login, Session, type Statement } from "./session.ts";

/** How to reach a primary. */
export interface PrimaryOptions extends Omit<Login, "name" | "parameters"> {
  /** The servers, of which one is the primary. */
  readonly hosts: readonly Host[];
  /** Tells the sessions of this server from those of others: at most 63 bytes. */
  readonly name: string;
  /** How long the engine may take for a turn, in milliseconds. */
  readonly timeout: number;
}

/** How long to wait before all servers are asked again, in milliseconds. */
const RETRY_MS = 100;
/** Which share of the time for a turn it may take to log in to one server. */
const LOGIN_SHARE = 0.4;

/**
 * Whether the server takes changes, and the end of what this server has lost: an earlier session may still wait
 * for a standby, and holds its locks meanwhile.
 */
const GREETING: readonly Statement[] = [
  {
    text: "SELECT pg_is_in_recovery(), current_setting('server_encoding'), " +
      "current_setting('server_version_num')",
  },
  {
    text: "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " +
      "WHERE application_name = current_setting('application_name') AND usename = current_user " +
      "AND pid <> pg_backend_pid()",
  },
];
/** The first version that is tried: PostgreSQL 13. */
const VERSION_MIN = 130_000;

/** The primary. */
export class Primary {
  readonly #options: PrimaryOptions;
  readonly #login: Login;
  #session: Session | undefined;
  #next: number;
  #isClosed = false;

  /** Connects when it is first asked. */
  constructor(options: PrimaryOptions) {
    this.#options = options;
    this.#next = 0;
    const { timeout } = options;
    this.#login = {
      ...options,
      parameters: {
        synchronous_commit: "on",
        // What this server has given up ends by itself, and so do its locks where it is stopped.
        statement_timeout: String(Math.ceil(2 * timeout)),
        lock_timeout: String(Math.ceil(timeout)),
        idle_in_transaction_session_timeout: String(Math.ceil(timeout / 2)),
        // Every statement goes by a key, whatever the engine's statistics say.
        plan_cache_mode: "force_generic_plan",
        enable_seqscan: "off",
        enable_hashjoin: "off",
        enable_mergejoin: "off",
        jit: "off",
      },
    };
  }

  /**
   * A session with the primary: the one that there is, or a new one. Throws TableError where there is none until
   * the deadline, by `Date.now`.
   */
  async session(deadline: number): Promise<Session> {
    if (this.#session?.isClosed === false) return this.#session;
    const { hosts, timeout } = this.#options;
    let reason: TableError | undefined;
    for (let asked = 0;; asked++) {
      if (this.#isClosed) throw new TableError("the table is closed");
      if (asked > 0 && asked % hosts.length === 0) {
        if (Date.now() + RETRY_MS >= deadline) break;
        await delay(RETRY_MS);
      }
      if (Date.now() >= deadline) break;
      const host = hosts[this.#next]!;
      try {
        const until = Math.min(deadline, Date.now() + timeout * LOGIN_SHARE);
        this.#session = await this.#open(host, until);
        return this.#session;
      } catch (error) {
        this.#next = (this.#next + 1) % hosts.length;
        const outcome = outcomeOf(error);
        const isPlain = outcome instanceof TableError && !(outcome instanceof LostError);
        // Of several reasons, one that the engine gives says more than that it is not reached.
        if (isPlain) reason = outcome;
        else if (outcome instanceof LostError && (reason ?? outcome) instanceof LostError) {
          reason = new LostError(`${formatHost(host)}: ${outcome.why}`, { cause: error });
        }
      }
    }
    throw reason ?? new LostError("there is no time to connect");
  }

  /** Sends statements to the primary. Throws what the first of them fails with, as a TableError or ConflictError. */
  async send(
    statements: readonly Statement[],
    deadline: number,
  ): Promise<Exclude<Answer, { error: unknown }>[]> {
    const session = await this.session(deadline);
    const answers = await session.send(statements, deadline);
    const failure = failureOf(answers);
    if (failure === undefined) return answers as Exclude<Answer, { error: unknown }>[];
    this.leave();
    throw outcomeOf(failure);
  }

  /** Ends the session, so that the next one begins with the next server. */
  leave(isServerSuspect = false): void {
    this.#session?.close();
    this.#session = undefined;
    if (isServerSuspect) this.#next = (this.#next + 1) % this.#options.hosts.length;
  }

  /** Ends the session. Later calls fail. */
  close(): void {
    this.#isClosed = true;
    this.leave();
  }

  async #open(host: Host, deadline: number): Promise<Session> {
    const session = await Session.open(host, this.#login, deadline);
    try {
      const answers = await session.send(GREETING, deadline);
      const failure = failureOf(answers);
      if (failure !== undefined) throw failure;
      const [greeting] = answers as Exclude<Answer, { error: unknown }>[];
      const [isStandby, encoding, version] = greeting!.rows[0]!;
      if (isStandby === "t") throw new LostError("it is a standby");
      if (encoding !== "UTF8") {
        throw new TableError(`the database is ${encoding}, and Keyline needs UTF8`);
      }
      if (Number(version) < VERSION_MIN) throw new TableError("PostgreSQL 13 is the oldest to use");
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }
}
