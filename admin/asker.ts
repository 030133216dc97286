/**
 * Sends requests to the server in its own protocol, through a session and a turn, like those of a connection.
 * So the admin port never shows a change that is not durable, and works with any table. The metrics count
 * none of these requests: looking at a server should not change its statistics.
 *
 * @module
 */

import { Outbox } from "../server/dispatch/outbox.ts";
import { Session } from "../server/dispatch/session.ts";
import { serverError } from "../server/reply.ts";
import type { ServerParts } from "../server/server.ts";
import { Text } from "../tables/text.ts";

/** A reply: lines that begin `CODE-`, and one that begins `CODE `. */
const REPLY = /(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n/g;

/** The replies to requests, each whole, with its last CR LF. A request is a line without its end. */
export async function ask(
  requests: readonly string[],
  { services, turn }: Pick<ServerParts, "services" | "turn">,
): Promise<string[]> {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let wire = "";
  const sink = {
    write(bytes: Uint8Array) {
      wire += decoder.decode(bytes, { stream: true });
      return Promise.resolve(bytes.length);
    },
  };
  const recipient = { onProgress() {}, close: () => outbox.close() };
  const outbox: Outbox = new Outbox(sink, { recipient, bytesMax: Infinity });
  const session = new UncountedSession({ services, outbox });
  const text = Text.of(requests.map((request) => `${request}\n`).join(""));
  const lines = { text, count: requests.length, isPrintable: false, faults: undefined };
  await session.serve(lines, turn);
  await outbox.sent();
  // A table in an engine that can't find out what became of a turn disconnects its clients; then there
  // is no reply.
  const replies = wire.match(REPLY) ?? [];
  return requests.map((_, i) => replies[i] ?? serverError("no answer").wire);
}

/** A session whose requests are not a client's. */
class UncountedSession extends Session {
  override count(): void {}

  override noteSlow(): void {}
}
