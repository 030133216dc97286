/** KEYS [prefix [after]]: keys in order, a page at a time. `KEYS *` has every key, as in Redis. */

import type { Command, Text } from "../server/command.ts";
import { ok, okLines } from "../server/reply.ts";

/** How many keys a reply lists at most, so that no page stops other clients. */
const PAGE_KEYS_MAX = 1_000;

export default {
  summary: "List keys in code-point order that begin with a prefix (* is any) and come after a key",
  arity: ["prefix?", "after?"],
  replies: {
    200: "a line for each of at most 1000 keys, then how many, and whether there are more",
  },
  handler([pattern, after = ""], { table }) {
    // No empty argument can be written, and paging through all keys takes an empty prefix.
    const prefix = String(pattern ?? "*") === "*" ? "" : pattern!;
    const found = table.keys({ prefix, after, limit: PAGE_KEYS_MAX + 1 });
    const page = found.slice(0, PAGE_KEYS_MAX);
    return okLines(page, ok(page.length < found.length ? `${page.length} more` : page.length));
  },
} satisfies Command<[prefix?: Text, after?: Text]>;
