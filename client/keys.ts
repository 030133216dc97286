/**
 * Lists the keys that begin with a prefix, a page at a time.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { setTimeout } from "node:timers/promises";
import { ArgumentError, errorOf } from "./errors.ts";
import { faultOfKey } from "./line.ts";
import type { Reply } from "./reply_reader.ts";
import type { CallOptions } from "./request.ts";
import { misfit } from "./result.ts";

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
 * Lists the keys that begin with a prefix, in order, requesting each page while the caller takes the one
 * before. Throws ArgumentError if no key can begin with the prefix, ReplyError, ProtocolError if a page does
 * not follow the one before, and whatever the client throws.
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
    const { lines, isMore } = pageOf(await next);
    const last: string | undefined = lines.at(-1);
    if (last !== undefined) {
      if (!isAfter(last, after)) misfit("that lists keys again");
      after = last;
    }
    if (isStar && after >= "+") {
      yield* lines.filter((key) => key.startsWith("*"));
      return;
    }
    if (isMore && lines.length === 0) await setTimeout(EMPTY_PAGE_MS);
    next = isMore ? ask(after) : undefined;
    // A caller that stops in between never awaits it.
    next?.catch(() => {});
    for (const key of lines) if (!isStar || key.startsWith("*")) yield key;
  }
}

/** The keys of a reply to KEYS, and whether there are more. */
function pageOf({ code, text, lines }: Reply): { lines: readonly string[]; isMore: boolean } {
  if (code !== 200) throw errorOf(code, text);
  const [, count, more] = /^OK (\d{1,15})( more)?(?:;.*)?$/.exec(text) ??
    misfit("that is no list of keys");
  if (Number(count) !== lines.length) misfit("without all of its keys");
  return { lines, isMore: more !== undefined };
}

/** Whether a key comes after another one in code-point order, which is that of its bytes. */
function isAfter(key: string, other: string): boolean {
  return Buffer.compare(Buffer.from(key), Buffer.from(other)) > 0;
}

/** A field of the line; with a space in it, it would be two. */
function checked(what: string, field: string): string {
  const fault = faultOfKey(field);
  if (fault !== undefined) {
    throw new ArgumentError(`Cannot list the keys, because of the ${what}: ${fault}`);
  }
  return field;
}
