/** KILL id: ends the connection of a client that CLIENTS lists. */

import type { Command, Text } from "../server/command.ts";
import { parseNatural } from "../server/number.ts";
import { badRequest, final, notFound, okay } from "../server/reply.ts";

export default {
  summary: "End the connection of the client with this number",
  details:
    "`CLIENTS` shows the numbers. The client gets no further reply; requests that the server has " +
    "received from it may have been completed.",
  arity: ["id"],
  replies: { 200: "the connection is closed", 404: "no client has this number" },
  changes: true,
  handler([number], { clients, client }) {
    const id = parseNatural(number);
    if (id === undefined) return badRequest("id is not the number of a client");
    if (id === client.id) return final(okay);
    return clients.end(id, client) ? okay : notFound;
  },
} satisfies Command<[id: Text]>;
