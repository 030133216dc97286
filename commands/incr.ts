/** INCR key [by]: a counter that many clients may count on at once. */

import type { Command, Text } from "../server/command.ts";
import { isInt64, parseInteger } from "../server/number.ts";
import { badRequest, conflict, ok } from "../server/reply.ts";

export default {
  summary: "Add 1, or another whole number, to the integer stored under a key",
  arity: ["key", "by?"],
  replies: {
    200: "the new value; a key without one counts as 0; an end that the key had stays",
    409: "the value is no 64-bit integer, or would not be one, and stays as it is",
  },
  handler([key, by], { table }) {
    const step = parseInteger(by ?? "1");
    if (step === undefined) return badRequest("the step is no 64-bit integer");
    const entry = table.entry(key);
    const value = parseInteger(entry?.value ?? "0");
    if (value === undefined) return conflict("the value is no 64-bit integer");
    if (!isInt64(value + step)) return conflict("the value would overflow");
    table.put(key, String(value + step), entry);
    return ok(value + step);
  },
} satisfies Command<[key: Text, by?: Text]>;
