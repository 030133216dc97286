/**
 * Asks the server in its own words: requests go through a turn, like those of a connection. So nobody
 * here sees a change that is not durable, and it works with any table.
 *
 * @module
 */

import { answer } from "../server/dispatch/gate.ts";
import type { Line } from "../server/input/line.ts";
import type { Lines } from "../server/input/lines.ts";
import { type Reply, serverError } from "../server/reply.ts";
import type { Inside } from "../server/server.ts";
import type { Member } from "../server/turn/turn.ts";

const encoder = new TextEncoder();

/** The replies to requests, each whole, with its last CR LF. A request is a line without its end. */
export async function ask(
  requests: readonly string[],
  { services, turn }: Pick<Inside, "services" | "turn">,
): Promise<string[]> {
  const replies: string[] = [];
  const client = { authorized: true, wrongPasswords: 0 };
  const member: Member = {
    answer(line: Line): boolean {
      const reply = answer(line, { ...services, client });
      // A Promise is not waited for: nothing that is asked here returns one.
      replies.push((reply instanceof Promise ? serverError("not answered at once") : reply).wire);
      return true;
    },
    release(failure?: Reply): void {
      if (failure !== undefined) replies.fill(failure.wire);
    },
  };
  const bytes = encoder.encode(requests.map((request) => `${request}\n`).join(""));
  let lines: Lines | undefined = {
    bytes,
    count: requests.length,
    isPrintable: false,
    faults: undefined,
  };
  while (lines !== undefined) lines = await turn.submit(member, lines);
  return replies;
}
