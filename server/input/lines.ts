/**
 * Turns the bytes of one client into whole, checked lines, still as bytes. The connection gives it each
 * packet and submits the lines to the turn, where TextLineStream splits them.
 *
 * It guards TextLineStream, which has no limit and emits an unterminated last line. The guard holds back
 * the tail of a packet until the line is whole, so an unterminated line never gets through.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { TelnetFilter } from "./telnet.ts";

/** What is wrong with a line that is not text. */
export type LineFault = "too long" | "not UTF-8";

/** Whole lines of one client. */
export interface Lines {
  /** The lines, each with its LF or CR LF; valid UTF-8. A line that is not text is empty here. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** How many there are. */
  readonly count: number;
  /** Whether they hold nothing but printable ASCII. */
  readonly isPrintable: boolean;
  /** What is wrong with the lines that are not text, by index. */
  readonly faults: ReadonlyMap<number, LineFault> | undefined;
}

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DEL = 0x7f;
const EMPTY = new Uint8Array(0);

/** No lines: to be in a turn nevertheless, so that a promised reply is released with its commit. */
export const NO_LINES: Lines = { bytes: EMPTY, count: 0, isPrintable: true, faults: undefined };

/**
 * The lines of one client.
 *
 * @example
 * ```ts
 * import { LineReader } from "./lines.ts";
 *
 * const lines = new LineReader({ lineBytesMax: 1_024 });
 * const text = (packet: string) => {
 *   const taken = lines.take(new TextEncoder().encode(packet));
 *   return taken && new TextDecoder().decode(taken.bytes);
 * };
 * console.log(text("GET a\r\nGE")); // "GET a\r\n"
 * console.log(text("T b\nGET c\n")); // "GET b\nGET c\n"
 * ```
 */
export class LineReader {
  readonly #telnet = new TelnetFilter();
  readonly #lineBytesMax: number;
  #tailBytesMax: number;
  readonly #tail = new Tail();
  /** Whether the tail is printable ASCII. */
  #isTailPrintable = true;
  /** Whether the current line is too long, and the rest of it is to be dropped. */
  #isSkipping = false;

  /** Lines may have this many bytes, without LF or CR LF. */
  constructor({ lineBytesMax }: { lineBytesMax: number }) {
    this.#lineBytesMax = lineBytesMax;
    this.#tailBytesMax = lineBytesMax;
  }

  /** Whether telnet waits for a timing mark; set to false once it is answered. */
  get awaitsTimingMark(): boolean {
    return this.#telnet.awaitsTimingMark;
  }
  set awaitsTimingMark(awaits: false) {
    this.#telnet.awaitsTimingMark = awaits;
  }

  /** How many bytes of an unfinished line to keep at most. */
  set tailBytesMax(bytes: number) {
    this.#tailBytesMax = bytes;
  }

  /**
   * The lines that end in this packet; undefined where none does. They may be a view of the packet, so
   * the packet must not change until they are answered.
   */
  take(packet: Uint8Array<ArrayBuffer>): Lines | undefined {
    let survey = surveyOf(packet);
    const bytes = this.#telnet.strip(packet, survey);
    if (bytes !== packet) survey = surveyOf(bytes);
    if (survey.count === 0) {
      this.#keep(bytes, survey.isPrintable);
      return undefined;
    }
    const { count, end } = survey;
    const isPrintable = survey.isPrintable && this.#isTailPrintable;
    const ended = end === bytes.length ? bytes : bytes.subarray(0, end);
    const whole = this.#tail.length === 0 ? ended : this.#tail.take(ended);
    this.#isTailPrintable = true;
    const isPlain = !this.#isSkipping && whole.length <= this.#lineBytesMax &&
      (isPrintable || isUtf8(whole));
    const lines = isPlain
      ? { bytes: whole, count, isPrintable, faults: undefined }
      : this.#checkEach(whole, count);
    if (end < bytes.length) this.#keep(bytes.subarray(end), survey.isPrintable);
    return lines;
  }

  /**
   * Keeps an unfinished line, or drops one that has grown too long. It checks the length before it adds a
   * packet, so it never keeps more than the limit and one packet.
   */
  #keep(bytes: Uint8Array<ArrayBuffer>, isPrintable: boolean): void {
    // The extra byte is for the CR of a CR LF.
    if (this.#tail.length > this.#tailBytesMax + 1) {
      this.#tail.clear();
      this.#isSkipping = true;
    }
    if (!this.#isSkipping) this.#tail.append(bytes);
    this.#isTailPrintable &&= isPrintable;
  }

  /** The slow way, a line at a time: a line that is too long or not UTF-8 spoils no other line. */
  #checkEach(whole: Uint8Array<ArrayBuffer>, count: number): Lines {
    const faults = new Map<number, LineFault>();
    const checked = new Uint8Array(whole.length);
    let length = 0;
    let from = 0;
    for (let i = 0; i < count; i++) {
      const lf = whole.indexOf(LF, from);
      const end = whole[lf - 1] === CR && lf > from ? lf - 1 : lf;
      const line = whole.subarray(from, lf + 1);
      if (this.#isSkipping || end - from > this.#lineBytesMax) faults.set(i, "too long");
      else if (!isUtf8(line)) faults.set(i, "not UTF-8");
      const kept = faults.has(i) ? line.subarray(-1) : line;
      checked.set(kept, length);
      length += kept.length;
      this.#isSkipping = false;
      from = lf + 1;
    }
    return { bytes: checked.subarray(0, length), count, isPrintable: false, faults };
  }
}

/** An unfinished line. It grows by half, so that adding single bytes is cheap. */
class Tail {
  #bytes: Uint8Array<ArrayBuffer> = EMPTY;
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

  /** Returns the tail with these bytes after it, and empties the tail. */
  take(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    this.append(bytes);
    const whole = this.#bytes.subarray(0, this.#length);
    this.clear();
    return whole;
  }

  clear(): void {
    this.#bytes = EMPTY;
    this.#length = 0;
  }
}

/** What a packet consists of. */
interface Survey {
  /** How many lines end in it. */
  readonly count: number;
  /** Where the last of these lines ends: the byte after its LF. */
  readonly end: number;
  /** Whether it holds nothing but printable ASCII, LF and CR LF. */
  readonly isPrintable: boolean;
}

/**
 * Looks at every byte, which spares later steps their own look at each: at four at a time where they are
 * printable ASCII, as most are.
 */
function surveyOf(bytes: Uint8Array): Survey {
  const { length } = bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  let count = 0;
  let end = 0;
  let isPrintable = true;
  for (let i = 0;; i++) {
    while (i + 4 <= length && arePrintable(view.getInt32(i, true))) i += 4;
    if (i >= length) return { count, end, isPrintable };
    const byte = bytes[i]!;
    if (byte >= SPACE && byte < DEL) continue;
    if (byte === LF) {
      count++;
      end = i + 1;
    } else if (byte !== CR || bytes[i + 1] !== LF) {
      isPrintable = false;
    }
  }
}

/**
 * Whether the four bytes of a word are printable ASCII. The first bit of a byte is set where it is not ASCII;
 * subtracting a space from each sets the first bit of a control character, or of a byte after one, and
 * adding one to each that of DEL.
 */
function arePrintable(word: number): boolean {
  return ((word | (word - 0x20202020) | (word + 0x01010101)) & 0x80808080) === 0;
}
