/**
 * What the key browser asks for: a page of keys, and one value. It only reads, and no more than a page shows.
 * The scripts of `page/` call it.
 *
 * @module
 */

import type { ServerParts } from "../server/server.ts";
import { KEY_BYTES_MAX } from "../tables/table.ts";
import { type HttpResponse, json } from "./http_response.ts";
import { ask } from "./asker.ts";

/** How many keys a page has at most. */
const PAGE_KEYS_MAX = 25;
/** How much of a value is shown, in UTF-16 units. */
const SHOWN_MAX = 4_096;
const encoder = new TextEncoder();

/** `?prefix=…&after=…`: keys in order, and whether there are more. */
export async function keysPage(query: URLSearchParams, parts: ServerParts): Promise<HttpResponse> {
  const [prefix, after] = [query.get("prefix") ?? "", query.get("after") ?? ""];
  if (!isKeyOrEmpty(prefix) || !isKeyOrEmpty(after)) return notAKey();
  const [reply = ""] = await ask([`KEYS ${prefix || "*"} ${after}`], parts);
  const lines = reply.split("\r\n").slice(0, -1);
  const last = lines.pop() ?? "";
  if (!last.startsWith("200 ")) return refused(last);
  const keys = lines.slice(0, PAGE_KEYS_MAX).map((line) => line.slice("200-".length));
  return json(200, { keys, more: lines.length > keys.length || last.endsWith(" more") });
}

/** `?key=…`: the value with its size in bytes, its version, and how many seconds it has left. */
export async function valueOf(query: URLSearchParams, parts: ServerParts): Promise<HttpResponse> {
  const key = query.get("key") ?? "";
  if (key === "" || !isKeyOrEmpty(key)) return notAKey();
  const [got = "", left = ""] = await ask([`GETS ${key}`, `TTL ${key}`], parts);
  const [, version, value] = /^200 OK (\d+) (.*)\r\n$/s.exec(got) ?? [];
  if (value === undefined) return refused(got.trimEnd());
  const [, seconds] = /^200 OK ([\d.]+)\r\n$/.exec(left) ?? [];
  return json(200, {
    key,
    version,
    size: encoder.encode(value).length,
    value: headOf(value),
    isWhole: value.length <= SHOWN_MAX,
    secondsLeft: seconds === undefined ? null : Number(seconds),
  });
}

/** The beginning of a value; never half of a surrogate pair. */
function headOf(value: string): string {
  return value.slice(0, SHOWN_MAX).replace(/[\uD800-\uDBFF]$/, "");
}

/** Whether a text could be a key, or is empty: then it stays one field of one line. */
function isKeyOrEmpty(text: string): boolean {
  // deno-lint-ignore no-control-regex
  return text.isWellFormed() && !/[\x00-\x20\x7f]/.test(text) &&
    encoder.encode(text).length <= KEY_BYTES_MAX;
}

function notAKey(): HttpResponse {
  return json(400, { why: "A key has 1 to 1,024 bytes, no space and no control character." });
}

/** The server's reply instead, in its own words: 404, or 220 if the operation is disabled. */
function refused(reply: string): HttpResponse {
  const isUnsupported = reply.startsWith("220");
  return json(reply.startsWith("404") ? 404 : 502, {
    why: isUnsupported ? "The operation that this takes is disabled (--disable)." : reply,
  });
}
