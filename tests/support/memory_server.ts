/**
 * A server without a network and without a disk: connections over MemorySockets, in turns over a table
 * that fails when a test tells it to.
 *
 * @module
 */

import auth from "../../commands/auth.ts";
import clear from "../../commands/clear.ts";
import count from "../../commands/count.ts";
import get from "../../commands/get.ts";
import help from "../../commands/help.ts";
import incr from "../../commands/incr.ts";
import keys from "../../commands/keys.ts";
import put from "../../commands/put.ts";
import quit from "../../commands/quit.ts";
import type { Command, Context } from "../../server/command.ts";
import { Connection, type Limits } from "../../server/connections/connection.ts";
import { WrongPasswords } from "../../server/dispatch/wrong_passwords.ts";
import type { Time } from "../../server/time.ts";
import { Turn } from "../../server/turn/turn.ts";
import { MemoryTable } from "../../tables/memory_table.ts";
import { type Entry, TableError } from "../../tables/table.ts";
import type { Text, TextLike } from "../../tables/text.ts";
import { type Commands, contextWith, type TestContext } from "./context.ts";
import { STOPPED } from "./clock.ts";
import { MemorySocket } from "./memory_socket.ts";

/** What the tests of connections and turns ask for. */
const COMMANDS = { auth, clear, count, get, help, incr, keys, put, quit };

/** The reply to each request of a turn whose commit failed with `diskFailure`. */
export const DISK_FAILED = "500 ERROR the disk failed\r\n";

/** What a commit throws where the disk fails; after a fatal failure the table can't go on. */
export function diskFailure(options?: { fatal: boolean }): TableError {
  return new TableError("the disk failed", options);
}

/** A table in memory that counts reads and commits, and whose commits a test can watch and fail. */
export class FakeTable extends MemoryTable {
  commits = 0;
  reads = 0;
  onCommit = () => {};
  /** What the next commits throw. */
  failure: Error | undefined;

  override get(key: TextLike): Text | undefined {
    this.reads++;
    return super.get(key);
  }

  /** The read that a test lets a key wait for. */
  readOf: (key: string) => Promise<void> | undefined = () => undefined;

  readAhead(key: Text): Promise<void> | undefined {
    return this.readOf(String(key));
  }

  override entry(key: TextLike): Entry | undefined {
    this.reads++;
    return super.entry(key);
  }

  override commit(): boolean {
    this.commits++;
    this.onCommit();
    if (this.failure === undefined) return super.commit();
    this.undo(0);
    throw this.failure;
  }
}

/** One client of a MemoryServer: its end of the socket, and the server's connection. */
export interface MemoryClient {
  readonly socket: MemorySocket;
  readonly connection: Connection;
  /** Resolves when the server is done with it. */
  readonly served: Promise<void>;
}

/** What a MemoryServer may be given. */
export interface MemoryServerOptions {
  readonly limits?: Partial<Limits>;
  /** Commands beside the usual ones. */
  readonly commands?: Commands;
  readonly isPassword?: (guess: string) => boolean;
  /** The time of its turns; it stands still where it is left out. */
  readonly time?: Time;
  readonly slowMs?: number;
}

/** The server; a connection for each client that connects. */
export class MemoryServer {
  readonly table: FakeTable = new FakeTable();
  readonly services: TestContext;
  readonly #turn: Turn;
  readonly #limits: Limits;
  readonly #wrongPasswords: WrongPasswords;

  /** A server without clients. */
  constructor(
    { limits, commands, isPassword, time = STOPPED, slowMs = Infinity }: MemoryServerOptions = {},
  ) {
    const { table } = this;
    const options = { table, slowMs, ...(isPassword && { isPassword }) };
    this.services = contextWith({ ...COMMANDS, ...commands }, options);
    this.#turn = new Turn({ table, metrics: this.services.metrics, onFatal: () => {}, time });
    this.#wrongPasswords = new WrongPasswords(time);
    this.#limits = { lineBytesMax: 1_048_576, idleTimeout: 0, writeTimeout: 60, ...limits };
  }

  /** A client that is served from now on. */
  connect(): MemoryClient {
    const { socket, connection } = this.accept();
    return { socket, connection, served: connection.serve() };
  }

  /** A connection that is not served yet, of a client at this address. */
  accept(hostname?: string): Omit<MemoryClient, "served"> {
    const socket = new MemorySocket();
    if (hostname !== undefined) socket.remoteAddr = { transport: "tcp", hostname, port: 1 };
    const [services, turn, limits] = [this.services, this.#turn, this.#limits];
    const wrongPasswords = this.#wrongPasswords;
    return {
      socket,
      connection: new Connection(socket, { services, turn, limits, wrongPasswords }),
    };
  }
}

/** A command with this handler. */
export function commandOf(
  handler: (args: Text[], context: Context) => unknown,
  arity: readonly string[] = ["key"],
): Command {
  return { summary: "Serve a test", arity, replies: {}, handler: handler as Command["handler"] };
}

/** Runs what logs errors; returns what it logged, a text for each call. */
export async function logOf(run: () => void | Promise<void>): Promise<string[]> {
  const original = console.error;
  const log: string[] = [];
  console.error = (...parts) => log.push(parts.map(String).join(" "));
  try {
    await run();
  } finally {
    console.error = original;
  }
  return log;
}

/** The replies to INCR of a new key, so many times. */
export function countedTo(count: number): string {
  return Array.from({ length: count }, (_, i) => `200 OK ${i + 1}\r\n`).join("");
}
