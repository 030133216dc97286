/**
 * Lists the keys that begin with a prefix, a page at a time.
 *
 * @module
 */

import { setTimeout } from "node:timers/promises";
import { ArgumentError, errorOf } from "./errors.ts";
import { faultOfKey } from "./line.ts";
import type { Reply } from "./reply_reader.ts";
import type { CallOptions } from "./request.ts";

/** How long to wait after an empty page before asking again, in milliseconds: the server is removing keys. */
const EMPTY_PAGE_MS = 20;

/** What `keys` takes in addition to the options of every call. */
export interface KeysOptions extends CallOptions {
  /** List only the keys that come after this one. */
  readonly after?: string | undefined;
}

/** The part of a client that listing keys needs. */
export interface Sender {
  /** Sends a line and returns its reply. */
  request(line: string, options?: CallOptions): Promise<Reply>;
}

/**
 * Lists the keys that begin with a prefix, in order. It asks for the next page while the caller takes
 * the last one. Throws ArgumentError if no key can begin with the prefix, ReplyError, and whatever the
 * client throws.
 */
export async function* listKeys(
  sender: Sender,
  prefix: string,
  options: KeysOptions = {},
): AsyncGenerator<string, void, undefined> {
  // On the wire, `*` alone means every key, so the keys that begin with a star are picked out of all.
  const isStar = prefix === "*";
  const pattern = prefix === "" || isStar ? "*" : checked("prefix", prefix);
  const ask = (after: string): Promise<Reply> =>
    sender.request(`KEYS ${pattern}${after === "" ? "" : ` ${checked("key", after)}`}`, options);
  let after = options.after ?? (isStar ? ")" : "");
  let next: Promise<Reply> | undefined = ask(after);
  while (next !== undefined) {
    const reply: Reply = await next;
    const { code, text, lines } = reply;
    if (code !== 200) throw errorOf(code, text);
    after = lines.at(-1) ?? after;
    if (isStar && after >= "+") {
      yield* lines.filter((key) => key.startsWith("*"));
      return;
    }
    const isMore = text.endsWith(" more");
    if (isMore && lines.length === 0) await setTimeout(EMPTY_PAGE_MS);
    next = isMore ? ask(after) : undefined;
    // A caller that stops in between never awaits it.
    next?.catch(() => {});
    for (const key of lines) if (!isStar || key.startsWith("*")) yield key;
  }
}

/** A field of the line; with a space in it, it would be two. */
function checked(what: string, field: string): string {
  const fault = faultOfKey(field);
  if (fault !== undefined) {
    throw new ArgumentError(`Cannot list the keys, because of the ${what}: ${fault}`);
  }
  return field;
}
