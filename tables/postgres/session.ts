/**
 * One connection to a server of PostgreSQL. Statements are sent together and answered in one round trip
 * (pipelining). A session that has failed is closed, and another one takes its place.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import pg from "npm:pg@8.23.1";
import type { EventEmitter } from "node:events";
import { TableError } from "../table.ts";
import type { Host } from "./location.ts";
import { isAnswer, LostError } from "./outcome.ts";
import { Round } from "./round.ts";

/** How to log in. */
export interface Login {
  /** The role. */
  readonly user: string;
  /** The database. */
  readonly database: string;
  /** Undefined where none is set. */
  readonly password: string | undefined;
  /** Set where the session is to be encrypted. */
  readonly tls: TlsOptions | undefined;
  /** What the engine calls the session. */
  readonly name: string;
  /** Its settings, by name. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** The contents of files, in PEM. */
export interface TlsOptions {
  /** Who signed the servers' certificates. */
  readonly ca?: string;
  /** The certificate to show. */
  readonly cert?: string;
  /** Its private key. */
  readonly key?: string;
}

/** A statement with its parameters. */
export interface Statement {
  /** By this name the engine has it prepared, once in a session; without one, it is sent as text. */
  readonly name?: string;
  /** The statement, with `$1` and so on for its parameters. */
  readonly text: string;
  /** The parameters. */
  readonly values?: readonly (Buffer | string | number | null)[];
}

/** The rows of a statement, each column as text. */
export type Rows = readonly (readonly (string | null)[])[];

/** What became of a statement. */
export type Answer =
  | { readonly rows: Rows; readonly command: string }
  | { readonly error: unknown };

/** The client, as far as it is used here: the package has no types. */
interface Client extends EventEmitter {
  readonly connection: EventEmitter & {
    readonly stream: { cork(): void; uncork(): void; destroy(): void };
  };
  connect(): Promise<void>;
  query(round: Round): void;
  _getActiveQuery(): Round | undefined;
}

/** A session. */
export class Session {
  /** With which server. */
  readonly host: Host;
  readonly #client: Client;
  #isClosed = false;
  /** The names of the statements that the engine has prepared. */
  readonly #prepared = new Set<string>();
  /** A warning of the engine; it belongs to one of the statements that are under way, or just were. */
  #warning: string | undefined;

  private constructor(client: Client, host: Host) {
    this.host = host;
    this.#client = client;
    client.on("notice", ({ code, message }: { code?: string; message?: string }) => {
      if (code?.startsWith("01")) this.#warning = message;
    });
    client.connection.on("parseComplete", () => client._getActiveQuery()?.noteParsed());
    // Each statement that was under way fails by itself.
    client.on("error", () => this.close());
    client.on("end", () => void (this.#isClosed = true));
  }

  /** Connects. Throws what the engine answers, or LostError where that comes too late. */
  static async open(host: Host, login: Login, deadline: number): Promise<Session> {
    const { user, database, password, tls, name, parameters } = login;
    const options = Object.entries(parameters).map(([name, value]) => `-c ${name}=${value}`);
    const client: Client = new pg.Client({
      ...{ ...host, user, database, pipeline: true, keepAlive: true, application_name: name },
      // Called only where the engine wants one.
      password() {
        if (password) return password;
        throw new TableError("the table's engine asks for a password");
      },
      ssl: tls === undefined ? false : { ...tls },
      options: options.join(" "),
    });
    const session = new Session(client, host);
    try {
      await session.#within(deadline, client.connect());
    } catch (error) {
      session.close();
      throw error;
    }
    return session;
  }

  /** Whether it is of no use any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Takes the warning that has come since the last call, if one has. */
  takeWarning(): string | undefined {
    const warning = this.#warning;
    this.#warning = undefined;
    return warning;
  }

  /**
   * Sends statements at once, and resolves to what became of each. Where the deadline passes, the session is
   * closed, and those that have no answer fail with a LostError.
   */
  async send(statements: readonly Statement[], deadline: number): Promise<Answer[]> {
    if (this.#isClosed) {
      return statements.map(() => ({ error: new LostError("the session has ended") }));
    }
    const { stream } = this.#client.connection;
    const round = new Round(statements, this.#prepared);
    // One packet for all of them.
    stream.cork();
    this.#client.query(round);
    stream.uncork();
    try {
      await this.#within(deadline, round.done);
      return round.answers;
    } catch (error) {
      return statements.map((_, i) => round.answers[i] ?? { error });
    }
  }

  /** Ends the connection at once. Whatever is under way goes on in the engine, if it has arrived there. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#client.connection.stream.destroy();
  }

  async #within<Result>(deadline: number, work: Promise<Result>): Promise<Result> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new LostError("it does not answer in time"));
        this.close();
      }, Math.max(0, deadline - Date.now()));
    });
    try {
      return await Promise.race([work, late]);
    } finally {
      clearTimeout(timer);
      work.catch(() => {});
    }
  }
}

/** The first failure of these; one of the engine's own comes before one of the connection. */
export function failureOf(answers: readonly Answer[]): unknown {
  const errors = answers.flatMap((answer) => "error" in answer ? [answer.error] : []);
  return errors.find(isAnswer) ?? errors[0];
}
