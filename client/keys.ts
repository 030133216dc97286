/**
 * All keys of a prefix, a page at a time.
 *
 * @module
 */

import { errorOf } from "./errors.ts";
import type { Reply } from "./reply_reader.ts";
import type { CallOptions } from "./request.ts";

/** What `keys` takes beside what every call takes. */
export interface KeysOptions extends CallOptions {
  /** Only the keys that come after this one. */
  readonly after?: string | undefined;
}

/** What can send a line, as a client can. */
export interface Sender {
  /** Sends a line and returns its reply. */
  request(line: string, options?: CallOptions): Promise<Reply>;
}

/**
 * The keys of a prefix, in order. The next page is asked for while the last is taken. Throws ReplyError
 * and whatever the client throws.
 */
export async function* listKeys(
  sender: Sender,
  prefix: string,
  options: KeysOptions = {},
): AsyncGenerator<string, void, undefined> {
  // `*` alone stands for every key, so that the keys that begin with it must be picked out of all.
  const isStar = prefix === "*";
  const pattern = prefix === "" || isStar ? "*" : prefix;
  const ask = (after: string): Promise<Reply> =>
    sender.request(`KEYS ${pattern}${after === "" ? "" : ` ${after}`}`, options);
  const first = options.after ?? (isStar ? ")" : "");
  let next: Promise<Reply> | undefined = ask(first);
  while (next !== undefined) {
    const reply: Reply = await next;
    const { code, text, lines } = reply;
    if (code !== 200) throw errorOf(code, text);
    const last: string | undefined = lines.at(-1);
    const isMore = text.endsWith(" more") && last !== undefined;
    if (isStar && last !== undefined && last >= "+") {
      yield* lines.filter((key) => key.startsWith("*"));
      return;
    }
    next = isMore ? ask(last) : undefined;
    // Whoever stops in between never waits for it.
    next?.catch(() => {});
    for (const key of lines) if (!isStar || key.startsWith("*")) yield key;
  }
}
