/** KEYS [prefix [after]]: keys in order, a page at a time. `KEYS *` lists every key, as in Redis. */

import type { Command, Text } from "../server/command.ts";
import { ok, okLines } from "../server/reply.ts";

/** How many keys a reply lists at most, so that no page holds up other clients. */
const PAGE_KEYS_MAX = 1_000;

export default {
  summary: "List the keys that begin with a prefix, in code-point order, a page at a time",
  details: "Without a prefix, or with `*`, it lists every key. " +
    `A page has at most ${PAGE_KEYS_MAX} keys. If there are more, the reply ends with \`more\`; ` +
    "the next page begins after the last key of this one: `KEYS * lastkey`. " +
    "A page skips a bounded number of keys that have expired but are not removed yet, so it may end " +
    "early and even be empty: after `200 OK 0 more`, ask for the same page again a moment later. " +
    "If no key begins with a prefix that ends with `*`, the reply says that a prefix needs no star. " +
    "A page shows one moment: keys that change between two pages may or may not be listed.",
  arity: ["prefix?", "after?"],
  replies: { 200: "a line for each key, then their number, then `more` if there are more" },
  handler([pattern, after = ""], { table }) {
    // An argument is never empty, so `*` stands for the empty prefix.
    const prefix = String(pattern ?? "*") === "*" ? "" : pattern!;
    const { keys, hasMore } = table.keys({ prefix, after, limit: PAGE_KEYS_MAX });
    if (hasMore) return okLines(keys, ok(`${keys.length} more`));
    // Such a prefix is valid; but whoever writes it mostly means another server's pattern.
    const isMistaken = keys.length === 0 && after === "" && /.\*$/.test(String(prefix));
    return okLines(keys, ok(isMistaken ? "0; a prefix needs no star" : keys.length));
  },
} satisfies Command<[prefix?: Text, after?: Text]>;
