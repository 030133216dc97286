/**
 * The protocol once more, for tests: from all the bytes that a client sends to all that it
 * is answered. It is simple where the server is fast: it looks at the whole input at once, knows nothing
 * of packets, and never decodes. Bytes are text of one unit each (Latin-1), so that regular
 * expressions can say what the rules are. It shares no line with the server, on purpose.
 *
 * It knows the first five operations; every other verb is unsupported.
 *
 * @module
 */

/** What a client is answered. */
export interface Conversation {
  /** The replies in order, a unit for each byte, without CR LF; only the fixed part of a 400. */
  readonly replies: readonly string[];
  /** Whether the server closes the connection. */
  readonly isClosed: boolean;
  /** What is stored at the end, if nothing was at the start; a unit for each byte. */
  readonly table: ReadonlyMap<string, string>;
}

/** The part of a 400 that does not depend on what is wrong. */
export const BAD_REQUEST = "400 BADREQUEST ";

/** A reply, or one after which the server closes the connection. */
type Answer = string | { last: string };

const KEY_BYTES_MAX = 1_024;
const TLS_HANDSHAKE = "\x16";
const HTTP_REQUEST_LINE = / HTTP\/[0-9]+(\.[0-9]+)?$/;
const HTTP_HOST = /^host:/i;
// RFC 854 and 855: IAC is telnet's only before 240 to 255; a doubled one is data, an option follows the four
// that negotiate, and what lies between SB and SE goes, pairs that begin with IAC being one thing. The end may
// cut any of them.
const TELNET =
  /\xff(?:(\xff)|[\xf0-\xf9]|[\xfb-\xfe](?:[^]|$)|\xfa((?:[^\xff]|\xff[^\xf0])*(?:\xff\xf0|\xff?$)))/g;
// RFC 3629 section 4, alternative by alternative; T is its UTF8-tail.
const T = "[\\x80-\\xbf]";
const UTF8_CHAR = [
  "[\\x00-\\x7f]",
  `[\\xc2-\\xdf]${T}`,
  `\\xe0[\\xa0-\\xbf]${T}|[\\xe1-\\xec]${T}${T}|\\xed[\\x80-\\x9f]${T}|[\\xee\\xef]${T}${T}`,
  `\\xf0[\\x90-\\xbf]${T}${T}|[\\xf1-\\xf3]${T}${T}${T}|\\xf4[\\x80-\\x8f]${T}${T}`,
].join("|");
const UTF8 = new RegExp(`^(?:${UTF8_CHAR})*$`);
// deno-lint-ignore no-control-regex -- the rule for keys names them
const CONTROL = /[\x00-\x1f\x7f]/;
// deno-lint-ignore no-control-regex -- the rule for values names them, all but TAB
const CONTROL_BUT_TAB = /[\x00-\x08\x0a-\x1f\x7f]/;

/** What a server with an empty table answers to these bytes. */
export function conversation(
  sent: Uint8Array,
  { lineBytesMax }: { lineBytesMax: number },
): Conversation {
  const table = new Map<string, string>();
  const text = latin1(sent);
  if (text.startsWith(TLS_HANDSHAKE)) return { replies: [BAD_REQUEST], isClosed: true, table };
  const replies: string[] = [];
  for (const [i, line] of linesOf(text, lineBytesMax).entries()) {
    const answer = isText(line, lineBytesMax)
      ? answerTo(line, { isFirst: i === 0, table })
      : BAD_REQUEST;
    if (typeof answer !== "string") {
      return { replies: [...replies, answer.last], isClosed: true, table };
    }
    replies.push(answer);
  }
  return { replies, isClosed: false, table };
}

/** Bytes as text of one unit each. */
export function latin1(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

/** The terminated lines, without their ends. */
function linesOf(text: string, lineBytesMax: number): string[] {
  const lines = withoutTelnet(text, lineBytesMax).replaceAll("\r\0", "\r\n").split("\n");
  lines.pop(); // An unterminated line is dropped.
  return lines.map((line) => line.replace(/\r$/, ""));
}

/** The text without telnet's bytes. A subnegotiation longer than this is an IAC, and text from there on. */
function withoutTelnet(text: string, subnegotiationBytesMax: number): string {
  let kept = "";
  let from = 0;
  for (let match; TELNET.lastIndex = from, (match = TELNET.exec(text)) !== null;) {
    const [whole, doubled = "", subnegotiation = ""] = match;
    kept += text.slice(from, match.index) + doubled;
    from = match.index + whole.length;
    if (subnegotiation.length <= subnegotiationBytesMax) continue;
    kept += "\xff";
    from = match.index + 2 + subnegotiationBytesMax + 1;
  }
  return kept + text.slice(from);
}

function isText(line: string, lineBytesMax: number): boolean {
  return line.length <= lineBytesMax && UTF8.test(line);
}

function answerTo(
  line: string,
  { isFirst, table }: { isFirst: boolean; table: Map<string, string> },
): Answer {
  if (HTTP_HOST.test(line) || isFirst && HTTP_REQUEST_LINE.test(line)) return { last: BAD_REQUEST };
  const [, verb = "", rest = ""] = /^ *([^ ]*)([^]*)$/.exec(line)!;
  if (verb === "") return BAD_REQUEST;
  if (/^(get|delete)$/i.test(verb)) {
    const key = keyIn(/^ +([^ ]+) *$/.exec(rest));
    if (key === undefined) return BAD_REQUEST;
    const value = table.get(key);
    if (/^get$/i.test(verb)) return value === undefined ? "404 NOT FOUND" : `200 OK ${value}`;
    table.delete(key);
    return "200 OK";
  }
  if (/^put$/i.test(verb)) {
    const fields = /^ +([^ ]+) ([^]+)$/.exec(rest);
    const key = keyIn(fields);
    if (key === undefined || CONTROL_BUT_TAB.test(fields![2]!)) return BAD_REQUEST;
    table.set(key, fields![2]!);
    return "200 OK";
  }
  if (!/^(clear|quit)$/i.test(verb)) return "220 UNSUPPORTED";
  if (!/^ *$/.test(rest)) return BAD_REQUEST;
  if (/^quit$/i.test(verb)) return { last: "200 OK" };
  table.clear();
  return "200 OK";
}

/** The key that a match found, if it is a good one. */
function keyIn(fields: RegExpExecArray | null): string | undefined {
  const key = fields?.[1];
  return key === undefined || key.length > KEY_BYTES_MAX || CONTROL.test(key) ? undefined : key;
}
