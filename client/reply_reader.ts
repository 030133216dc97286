/**
 * Turns bytes into replies, wherever packets split them. It looks at every byte once, and limits what a
 * server can make the client hold. `link.ts` feeds it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { ProtocolError } from "./errors.ts";

/** What the server answered to one request. */
export interface Reply {
  /** The three-digit code. */
  readonly code: number;
  /** The text after the code on the last line. */
  readonly text: string;
  /** The text after the code on each line but the last. */
  readonly lines: readonly string[];
}

/** Receives replies in order, as they arrive. */
export interface ReplySink {
  /** `200 OK`, with the value after it or undefined if there is none. */
  onOk(value: string | undefined): void;
  /** Any other reply. */
  onReply(reply: Reply): void;
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const HYPHEN = 0x2d;
const ZERO = 0x30;
const NO_LINES: readonly string[] = [];
const NO_BYTES = Buffer.alloc(0);
/** The length of `200 OK`. */
const OK_BYTES = 6;
/** A loop finds the end of a shorter line, because it is faster there than a call. */
const LOOP_BYTES_MAX = 64;

/** Splits a stream of bytes into replies. */
export class ReplyReader {
  readonly #sink: ReplySink;
  readonly #bytesMax: number;
  /** The beginning of a line whose end has not arrived. */
  #begun = NO_BYTES;
  /** How long that beginning is, in bytes. */
  #begunBytes = 0;
  /** The size of the incomplete reply, in bytes. */
  #bytes = 0;
  #code = 0;
  #lines: string[] = [];

  /** Passes replies to `sink`; a reply of more than `bytesMax` bytes is an error. */
  constructor(sink: ReplySink, bytesMax: number) {
    this.#sink = sink;
    this.#bytesMax = bytesMax;
  }

  /** Whether the last reply is incomplete. */
  get isInReply(): boolean {
    return this.#bytes > 0;
  }

  /** Takes the next bytes. Throws ProtocolError if they are not a reply. */
  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let at = 0;
    while (at < bytes.length) {
      const end = endOfLine(bytes, at);
      if (end < 0) {
        this.#keep(bytes.subarray(at));
        return;
      }
      if (this.#begunBytes === 0) this.#line(bytes, at, end);
      else this.#restOfLine(bytes.subarray(at, end));
      at = end + 1;
    }
  }

  /** Keeps a part of a line. It is copied, because the memory of a packet may be reused. */
  #keep(part: Uint8Array): void {
    this.#count(part.length);
    this.#append(part);
  }

  #append(part: Uint8Array): void {
    const length = this.#begunBytes + part.length;
    if (length > this.#begun.length) {
      // Twice the size, so that a line in many parts is not copied for each of them.
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#begun.length));
      larger.set(this.#begun.subarray(0, this.#begunBytes));
      this.#begun = larger;
    }
    this.#begun.set(part, this.#begunBytes);
    this.#begunBytes = length;
  }

  #restOfLine(part: Uint8Array): void {
    // The line's own bytes are counted separately.
    this.#bytes -= this.#begunBytes;
    this.#append(part);
    const line = this.#begun.subarray(0, this.#begunBytes);
    this.#begun = NO_BYTES;
    this.#begunBytes = 0;
    this.#line(line, 0, line.length);
  }

  /** Takes a whole line, from `start` to its LF at `end`. */
  #line(bytes: Buffer, start: number, end: number): void {
    const stop = end > start && bytes[end - 1] === CR ? end - 1 : end;
    if (this.#lines.length === 0 && isOk(bytes, start, stop)) {
      const from = start + OK_BYTES + 1;
      if (from <= stop) this.#count(stop - from);
      this.#bytes = 0;
      this.#sink.onOk(from <= stop ? decode(bytes, from, stop) : undefined);
      return;
    }
    this.#count(end - start);
    const code = codeOf(bytes, start, stop);
    const mark = bytes[start + 3];
    if (this.#lines.length > 0 && code !== this.#code) throw wrong("two codes in one reply");
    const text = decode(bytes, Math.min(start + 4, stop), stop);
    if (mark === HYPHEN) {
      this.#code = code;
      this.#lines.push(text);
      return;
    }
    const lines = this.#lines.length === 0 ? NO_LINES : this.#lines;
    this.#lines = [];
    this.#bytes = 0;
    this.#sink.onReply({ code, text, lines });
  }

  #count(length: number): void {
    this.#bytes += length;
    if (this.#bytes > this.#bytesMax) throw wrong(`a reply longer than ${this.#bytesMax} bytes`);
  }
}

/** The position of the next LF, or -1. */
function endOfLine(bytes: Buffer, from: number): number {
  const stop = Math.min(bytes.length, from + LOOP_BYTES_MAX);
  for (let at = from; at < stop; at++) if (bytes[at] === LF) return at;
  return stop === bytes.length ? -1 : bytes.indexOf(LF, stop);
}

/** Whether a line is `200 OK` or `200 OK <value>`. */
function isOk(bytes: Buffer, start: number, stop: number): boolean {
  return stop >= start + OK_BYTES && bytes[start] === 0x32 && bytes[start + 1] === ZERO &&
    bytes[start + 2] === ZERO && bytes[start + 3] === SPACE && bytes[start + 4] === 0x4f &&
    bytes[start + 5] === 0x4b && (stop === start + OK_BYTES || bytes[start + 6] === SPACE);
}

/** The code of a line. Throws ProtocolError if it has none. */
function codeOf(bytes: Buffer, start: number, stop: number): number {
  let code = 0;
  for (let at = start; at < start + 3; at++) {
    const digit = at < stop ? bytes[at]! - ZERO : -1;
    if (digit < 0 || digit > 9) throw wrong("a line without a code");
    code = code * 10 + digit;
  }
  const mark = start + 3 < stop ? bytes[start + 3] : SPACE;
  if (mark !== SPACE && mark !== HYPHEN) throw wrong("a line without a code");
  return code;
}

function decode(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString("utf8", start, end);
  // Bytes that are not UTF-8 turn into this character, which a server may also send as such.
  if (text.includes("\ufffd") && !bytes.subarray(start, end).equals(Buffer.from(text))) {
    throw wrong("text that is not UTF-8");
  }
  return text;
}

/** The waiting requests say whether a change may have taken effect: see `lost.ts`. */
function wrong(what: string): ProtocolError {
  return new ProtocolError(`The server sent ${what}: is it Keyline?`, { mayHaveHappened: false });
}
