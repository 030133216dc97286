/** QUIT: closes this connection; the server keeps running. */

import type { Command } from "../server/command.ts";
import { goodbye } from "../server/reply.ts";

export default {
  summary: "Close this connection",
  arity: [],
  replies: { 200: "the connection is closed; requests sent after QUIT are not run" },
  open: true,
  handler() {
    return goodbye;
  },
} satisfies Command<[]>;
