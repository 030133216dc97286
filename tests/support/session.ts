/**
 * Operations over every kind of table, without a connection: requests and replies, a clock that a test
 * moves, and restarts between them.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { RequestContext } from "../../server/dispatch/request.ts";
import { answer } from "./answer.ts";
import { Line } from "../../server/input/line.ts";
import type { Table } from "../../tables/table.ts";
import { type Commands, contextWith } from "./context.ts";
import { testWith } from "./harness.ts";
import {
  DURABLE_IN_MEMORY,
  DURABLE_TABLE,
  type Kind,
  MEMORY_TABLE,
  permissionsOf,
  TableSetup,
} from "./table_model.ts";

/** What a table goes through between two requests. Where replies differ by it, a table is at fault. */
interface Way {
  readonly name: string;
  readonly kind: Kind;
  readonly between: (session: Session) => void;
}

const WAYS: readonly Way[] = [
  { name: "in memory", kind: MEMORY_TABLE, between: () => {} },
  { name: "on disk, all in one turn", kind: DURABLE_IN_MEMORY, between: () => {} },
  {
    name: "on disk, a turn for each request",
    kind: DURABLE_TABLE,
    between: ({ table }) => void table.commit(),
  },
  {
    name: "on disk, a restart after each request",
    kind: DURABLE_TABLE,
    between: (session) => session.restart(),
  },
];

/** Requests to one table. */
export class Session {
  readonly #setup: TableSetup;
  readonly #context: Omit<RequestContext, "table">;
  readonly #between: (session: Session) => void;

  /** Over an opened table, with these commands. */
  constructor(setup: TableSetup, { commands, way }: { commands: Commands; way: Way }) {
    this.#setup = setup;
    this.#context = contextWith(commands, { now: () => setup.now });
    this.#between = way.between;
  }

  /** The table, as it was opened last. */
  get table(): Table {
    return this.#setup.table;
  }

  /** The time, in milliseconds since 1970. */
  get now(): number {
    return this.#setup.now;
  }

  /** The reply to a line, its own lines joined by LF; then the way's commit or restart. */
  async ask(line: string): Promise<string> {
    const reply = await this.peek(line);
    this.#between(this);
    return reply;
  }

  /** The reply to a line, with no commit and no restart after it. */
  async peek(line: string): Promise<string> {
    const { wire } = await answer(Line.of(line), { ...this.#context, table: this.table });
    return wire.slice(0, -2).replaceAll("\r\n", "\n");
  }

  /** Asks each line and checks its reply. */
  async expect(...exchanges: [line: string, reply: string][]): Promise<void> {
    for (const [line, reply] of exchanges) assertEquals(await this.ask(line), reply, line);
  }

  /** The version that GETS names. */
  async versionOf(key: string): Promise<number> {
    return Number(/^200 OK (\d+) /.exec(await this.ask(`GETS ${key}`))?.[1]);
  }

  /** Lets time pass. */
  wait(seconds: number): void {
    this.#setup.now += seconds * 1_000;
  }

  /** Commits, closes the table and opens it again. A table in memory stays open. */
  restart(): void {
    this.table.commit();
    this.#setup.reopen();
  }
}

/** A function that defines a test with these commands over every table, in every way. */
export function overTables(
  commands: Commands,
): (name: string, fn: (session: Session) => Promise<void>) => void {
  return (name, fn) => {
    for (const way of WAYS) {
      testWith(permissionsOf(way.kind), `${name} (${way.name})`, async () => {
        using setup = new TableSetup(way.kind);
        await fn(new Session(setup, { commands, way }));
      });
    }
  };
}
