/**
 * Asks the server in its own words: requests go through a turn, like those of a connection. So nobody
 * here sees a change that is not durable, and it works with any table. The metrics count none of them: they
 * are about the requests of clients, and whoever looks at a server should not change what it shows.
 *
 * @module
 */

import { type GateContext, prepare, type Request, run } from "../server/dispatch/gate.ts";
import type { Line } from "../server/input/line.ts";
import type { Lines } from "../server/input/lines.ts";
import { type Reply, serverError } from "../server/reply.ts";
import type { Inside } from "../server/server.ts";
import type { RemoteMember } from "../server/turn/batch.ts";
import type { Answered, Member } from "../server/turn/turn.ts";
import { Text } from "../tables/text.ts";

/** The replies to requests, each whole, with its last CR LF. A request is a line without its end. */
export async function ask(
  requests: readonly string[],
  inside: Pick<Inside, "services" | "turn">,
): Promise<string[]> {
  const member = new Asker(inside);
  let lines: Lines | undefined = {
    text: Text.of(requests.map((request) => `${request}\n`).join("")),
    count: requests.length,
    isPrintable: false,
    faults: undefined,
  };
  for (; lines !== undefined; lines = member.rest) await inside.turn.submit(member, lines);
  // A table elsewhere that can't tell what became of a turn closes its members; it then has no reply.
  return requests.map((_, i) => member.replies[i] ?? serverError("no answer").wire);
}

/** A connection without a socket: for a table in this process, and for one elsewhere. */
class Asker implements Member, RemoteMember {
  readonly replies: string[] = [];
  rest: Lines | undefined;
  readonly room = Infinity;
  readonly #context: GateContext;
  #released = 0;

  constructor({ services }: Pick<Inside, "services">) {
    this.#context = { ...services, client: { authorized: true, wrongPasswords: 0 } };
  }

  answer(request: Request): Answered {
    const reply = run(request, this.#context);
    // A Promise is not waited for: nothing that is asked here returns one.
    this.replies.push(
      (reply instanceof Promise ? serverError("not answered at once") : reply).wire,
    );
    return "goes on";
  }

  fits(): boolean {
    return true;
  }

  prepare(line: Line): Request {
    return prepare(line, this.#context);
  }

  admit(request: Request): Request {
    return request;
  }

  run(request: Request): Reply | Promise<Reply> {
    return run(request, this.#context);
  }

  take(reply: Reply): void {
    this.replies.push(reply.wire);
  }

  drop(): void {
    this.replies.length = this.#released;
  }

  count(): void {}

  release(rest: Lines | undefined, failure?: Reply): void {
    this.rest = rest;
    if (failure !== undefined) this.replies.fill(failure.wire);
    this.#released = this.replies.length;
  }

  close(): void {}
}
