/**
 * Turns the bytes of one client into whole, checked lines. `connection.ts` feeds it each packet
 * and takes out the lines; behind it only text is left.
 *
 * A guard of ours stands in front of TextLineStream, because that one has no limit, replaces bytes
 * that are no UTF-8, and emits a last line that nothing ended. The guard holds back what is no whole
 * line yet, so an unterminated tail never comes out.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import { TelnetFilter } from "./telnet.ts";

/** What is wrong with a line that is no text. */
export type LineFault = "too long" | "not UTF-8";

const LF = 0x0a;
const CR = 0x0d;
/** Opens a line that stands for a fault. Lone surrogates don't come out of UTF-8: no client sends it. */
const FAULT = "\ud800";
const EMPTY = new Uint8Array(0);

// ignoreBOM: a leading U+FEFF is text; without the option it would vanish, and two keys be one.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What is wrong with this line, where it stands for one that is no text. */
export function faultOf(line: string): LineFault | undefined {
  return line.startsWith(FAULT) ? line.slice(FAULT.length) as LineFault : undefined;
}

/**
 * The lines of one client.
 *
 * @example
 * ```ts
 * import { LineReader } from "./lines.ts";
 *
 * const lines = new LineReader({ lineBytesMax: 1_024 });
 * for (let left = lines.feed(new TextEncoder().encode("GET a\r\nGET b\nGE")); left > 0; left--) {
 *   console.log((await lines.next()).value); // "GET a", then "GET b"
 * }
 * ```
 */
export class LineReader {
  readonly #telnet = new TelnetFilter();
  readonly #guard: LineGuard;
  // Made with the first whole line: a client that only connects costs no stream.
  #writer: WritableStreamDefaultWriter<string> | undefined;
  #reader: ReadableStreamDefaultReader<string> | undefined;

  /** Lines may have this many bytes, without their ends. */
  constructor({ lineBytesMax }: { lineBytesMax: number }) {
    this.#guard = new LineGuard(lineBytesMax);
  }

  /** Whether telnet waits for a timing mark; once it is answered, or another line has come, no more. */
  get awaitsTimingMark(): boolean {
    return this.#telnet.awaitsTimingMark;
  }
  set awaitsTimingMark(awaits: false) {
    this.#telnet.awaitsTimingMark = awaits;
  }

  /** How many bytes of a line are kept, at most, while its end has not come. */
  set tailBytesMax(bytes: number) {
    this.#guard.tailBytesMax = bytes;
  }

  /** Takes a packet and returns how many lines it completed. They wait for `next`. */
  feed(packet: Uint8Array): number {
    const { text, count } = this.#guard.push(this.#telnet.strip(packet));
    if (count > 0) {
      this.awaitsTimingMark = false;
      if (this.#writer === undefined) this.#open();
      // It resolves once the lines are read. A failure comes out of `next`.
      this.#writer!.write(text).catch(() => {});
    }
    return count;
  }

  /** The next of the lines that `feed` counted. */
  next(): Promise<ReadableStreamReadResult<string>> {
    return this.#reader!.read();
  }

  #open(): void {
    const stream = new TextLineStream();
    this.#writer = stream.writable.getWriter();
    this.#reader = stream.readable.getReader();
  }
}

/** Lets only whole lines of valid text through, in front of TextLineStream. */
class LineGuard {
  tailBytesMax: number;
  readonly #lineBytesMax: number;
  #tail = new Tail();
  #skipping = false;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
    this.tailBytesMax = lineBytesMax;
  }

  /** The text of the lines that end in these bytes, and their number. */
  push(bytes: Uint8Array): { text: string; count: number } {
    const end = bytes.lastIndexOf(LF) + 1;
    if (end === 0) {
      this.#keep(bytes);
      return { text: "", count: 0 };
    }
    const whole = this.#tail.length === 0 ? bytes.subarray(0, end) : this.#tail.take(bytes, end);
    const simple = !this.#skipping && whole.length <= this.#lineBytesMax;
    const result = (simple ? decodeAll(whole) : undefined) ?? this.#decodeEach(whole);
    if (end < bytes.length) this.#keep(bytes.subarray(end));
    return result;
  }

  /**
   * Keeps the begin of a line; one that has grown too long is dropped up to its end. It is looked at
   * before a packet is added, so that no more than the limit and one packet are ever kept.
   */
  #keep(bytes: Uint8Array): void {
    // The byte more is for the CR of a CR LF.
    if (this.#tail.length > this.tailBytesMax + 1) {
      this.#tail.clear();
      this.#skipping = true;
    }
    if (!this.#skipping) this.#tail.append(bytes);
  }

  /** The slow way, a line at a time: where one is too long or no UTF-8, the others are served. */
  #decodeEach(whole: Uint8Array): { text: string; count: number } {
    let text = "";
    let count = 0;
    let from = 0;
    for (let lf = whole.indexOf(LF); lf >= 0; lf = whole.indexOf(LF, from)) {
      const end = whole[lf - 1] === CR && lf > from ? lf - 1 : lf;
      const tooLong = this.#skipping || end - from > this.#lineBytesMax;
      text += tooLong ? `${FAULT}too long\n` : decodeLine(whole.subarray(from, lf + 1));
      this.#skipping = false;
      from = lf + 1;
      count++;
    }
    return { text, count };
  }
}

/** The begin of a line whose end has not come. Grows by half, so that single bytes are cheap. */
class Tail {
  #bytes: Uint8Array = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, 1.5 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  /** The tail and the bytes up to `end`, as one array; the tail is empty then. */
  take(bytes: Uint8Array, end: number): Uint8Array {
    this.append(bytes.subarray(0, end));
    const whole = this.#bytes.subarray(0, this.#length);
    this.clear();
    return whole;
  }

  clear(): void {
    this.#bytes = EMPTY;
    this.#length = 0;
  }
}

function decodeAll(whole: Uint8Array): { text: string; count: number } | undefined {
  let text: string;
  try {
    text = decoder.decode(whole);
  } catch {
    return undefined;
  }
  let count = 0;
  for (let i = 0; i < whole.length; i++) if (whole[i] === LF) count++;
  return { text, count };
}

function decodeLine(line: Uint8Array): string {
  try {
    return decoder.decode(line);
  } catch {
    return `${FAULT}not UTF-8\n`;
  }
}
