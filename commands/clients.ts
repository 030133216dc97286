/** CLIENTS [after]: the connected clients, a page at a time. */

import type { Client, Command, Text } from "../server/command.ts";
import { parseNatural } from "../server/number.ts";
import { badRequest, ok, okLines } from "../server/reply.ts";

/** How many clients a reply lists at most, so that no page holds up other clients. */
const PAGE_CLIENTS_MAX = 500;

export default {
  summary: "List the clients that are connected to this server, a page at a time",
  details:
    "Each line has the number of a client, its address, and statistics: `access` is `all`, `read`, or " +
    "`none` before `AUTH`; `age` and `idle` are the seconds since it connected and since it last sent " +
    "something; `requests` is how many have been answered, and `rate` how many a second of " +
    "late; `in`, `out` and `waiting` are the bytes that it has sent, that it has received, and that wait " +
    "for it. " +
    `A page has at most ${PAGE_CLIENTS_MAX} clients. If there are more, the reply ends with \`more\`; the ` +
    "next page begins after the last number of this one: `CLIENTS 512`.",
  arity: ["after?"],
  replies: { 200: "a line for each client, then their number, then `more` if there are more" },
  handler([after], { clients, now }) {
    const from = parseNatural(after ?? "0");
    if (from === undefined) return badRequest("after is not the number of a client");
    const page = clients.page(from, PAGE_CLIENTS_MAX);
    const count = page.clients.length;
    const lines = page.clients.map((client) =>
      lineOf(client, { now: now(), rate: clients.rateOf(client.id) })
    );
    return okLines(lines, ok(page.hasMore ? `${count} more` : count));
  },
} satisfies Command<[after?: Text]>;

function lineOf(client: Client, { now, rate }: { now: number; rate: number }): string {
  const seconds = (ms: number) => (ms / 1_000).toFixed(1);
  const figures = {
    access: client.access ?? "none",
    age: seconds(Math.max(0, now - client.since)), // The clock may be set back.
    idle: seconds(client.idle),
    requests: client.requests,
    rate: rate.toFixed(1),
    in: client.bytesReceived,
    out: client.bytesSent,
    waiting: client.bytesWaiting,
  };
  const fields = Object.entries(figures).map(([name, value]) => `${name}=${value}`);
  return [client.id, client.address ?? "unknown", ...fields].join(" ");
}
