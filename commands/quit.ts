/** QUIT: ends the connection; the server goes on. */

import type { Command } from "../server/command.ts";
import { goodbye } from "../server/reply.ts";

export default {
  summary: "End this connection",
  arity: [],
  replies: { 200: "the connection is closed, and what was sent behind QUIT is not run" },
  open: true,
  handler() {
    return goodbye;
  },
} satisfies Command<[]>;
