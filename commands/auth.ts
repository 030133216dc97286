/** AUTH password: unlocks the other operations for this connection. */

import type { Command, Text } from "../server/command.ts";
import { WRONG_PASSWORDS_MAX } from "../server/dispatch/password.ts";
import { final, okay, unauthorized } from "../server/reply.ts";

export default {
  summary: "Authenticate this connection; the password is the rest of the line",
  arity: ["password..."],
  replies: {
    200: "the password is right, or none is set",
    401: "the password is wrong; the third time, the connection is closed",
  },
  open: true,
  handler([password], { client, accessOf, metrics }) {
    if (accessOf === undefined) return okay;
    client.access = accessOf(String(password));
    if (client.access !== undefined) return okay;
    metrics.wrongPasswords.note(client.address);
    return ++client.wrongPasswords < WRONG_PASSWORDS_MAX ? unauthorized : final(unauthorized);
  },
} satisfies Command<[password: Text]>;
