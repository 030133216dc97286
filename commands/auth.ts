/** AUTH password: lets the other operations of this connection run. */

import type { Command, Text } from "../server/command.ts";
import { WRONG_PASSWORDS_MAX } from "../server/dispatch/password.ts";
import { final, okay, unauthorized } from "../server/reply.ts";

export default {
  summary: "Give the password, which is the rest of the line",
  arity: ["password..."],
  replies: {
    200: "it is right, or none is set",
    401: "it is wrong; the third time the connection is closed",
  },
  open: true,
  handler([password], { client, isPassword }) {
    if (isPassword === undefined) return okay;
    client.authorized = isPassword(String(password));
    if (client.authorized) return okay;
    return ++client.wrongPasswords < WRONG_PASSWORDS_MAX ? unauthorized : final(unauthorized);
  },
} satisfies Command<[password: Text]>;
