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
import { Memory, Text } from "../../tables/text.ts";
import { mayBeTelnet, TelnetFilter } from "./telnet.ts";

/** What may be wrong with a line, none first. */
export const LINE_FAULTS = [undefined, "too long", "not UTF-8"] as const;

/** What is wrong with a line that is not text. */
export type LineFault = Exclude<typeof LINE_FAULTS[number], undefined>;

/** Whole lines of one client. */
export interface Lines {
  /** The lines, each with its LF or CR LF. A line that is not text is empty here. */
  readonly text: Text;
  /** How many there are. */
  readonly count: number;
  /** Whether they hold nothing but printable ASCII. */
  readonly isPrintable: boolean;
  /** For each line, the index of its fault among LINE_FAULTS; undefined where no line has one. */
  readonly faults: Uint8Array | undefined;
}

const TOO_LONG = LINE_FAULTS.indexOf("too long");
const NOT_UTF8 = LINE_FAULTS.indexOf("not UTF-8");
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DEL = 0x7f;
const EMPTY = new Uint8Array(0);

/** No lines: to be in a turn nevertheless, so that a promised reply is released with its commit. */
export const NO_LINES: Lines = {
  text: Text.from(EMPTY),
  count: 0,
  isPrintable: true,
  faults: undefined,
};

/**
 * The lines of one client.
 *
 * @example
 * ```ts
 * import { Text } from "../../tables/text.ts";
 * import { LineReader } from "./lines.ts";
 *
 * const lines = new LineReader({ lineBytesMax: 1_024 });
 * const take = (packet: string) => String(lines.take(Text.of(packet).memory)?.text);
 * console.log(take("GET a\r\nGE")); // "GET a\r\n"
 * console.log(take("T b\nGET c\n")); // "GET b\nGET c\n"
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

  /** Where the bytes that were taken last end, in their packet: more follow after a timing mark. */
  end = 0;

  /** Lines may have this many bytes, without LF or CR LF. */
  constructor({ lineBytesMax }: { lineBytesMax: number }) {
    this.#lineBytesMax = lineBytesMax;
    this.#tailBytesMax = lineBytesMax;
    this.#telnet.subnegotiationBytesMax = lineBytesMax;
  }

  /**
   * Whether telnet waits for a timing mark, after the replies to the lines so far; set to false once it is
   * answered, before more is taken.
   */
  get awaitsTimingMark(): boolean {
    return this.#telnet.awaitsTimingMark;
  }
  set awaitsTimingMark(awaits: false) {
    this.#telnet.awaitsTimingMark = awaits;
  }

  /** How many bytes of an unfinished line, or of an unfinished subnegotiation, to take at most. */
  set tailBytesMax(bytes: number) {
    this.#tailBytesMax = bytes;
    this.#telnet.subnegotiationBytesMax = bytes;
  }

  /**
   * The lines that end in a packet, which is the first bytes of this memory, from `start` on; undefined where
   * none does. They may lie in it, so it must not change until they are answered. Where telnet asks for a
   * timing mark within the packet, only what comes before that is taken: go on from `end`.
   */
  take(memory: Memory, length = memory.bytes.length, { start = 0 } = {}): Lines | undefined {
    const { bytes } = memory;
    this.end = length;
    if (start === 0) {
      const survey = surveyOf(memory, length);
      const isText = survey.isPrintable || !mayBeTelnet(bytes.subarray(0, length));
      if (isText && this.#telnet.passes(bytes[length - 1])) return this.#linesOf(memory, survey);
    }
    const stripped = new Memory(this.#telnet.strip(bytes.subarray(0, length), start));
    this.end = this.#telnet.end;
    return this.#linesOf(stripped, surveyOf(stripped, stripped.bytes.length));
  }

  /** The lines that end in bytes without telnet's. */
  #linesOf(memory: Memory, { length, count, end, isPrintable }: Survey): Lines | undefined {
    if (count === 0) {
      this.#keep(memory.bytes.subarray(0, length), isPrintable);
      return undefined;
    }
    const arePrintable = isPrintable && this.#isTailPrintable;
    const text = this.#tail.length === 0
      ? new Text(memory, 0, end)
      : Text.from(this.#tail.take(memory.bytes.subarray(0, end)));
    this.#isTailPrintable = true;
    const isPlain = !this.#isSkipping && text.length <= this.#lineBytesMax &&
      (arePrintable || isUtf8(text.toBytes()));
    const lines = isPlain
      ? { text, count, isPrintable: arePrintable, faults: undefined }
      : this.#checkEach(text.toBytes(), count);
    if (end < length) this.#keep(memory.bytes.subarray(end, length), isPrintable);
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
    if (!this.#isSkipping) this.#tail.append(bytes, this.#tailBytesMax);
    this.#isTailPrintable &&= isPrintable;
  }

  /** The slow way, a line at a time: a line that is too long or not UTF-8 spoils no other line. */
  #checkEach(whole: Uint8Array<ArrayBuffer>, count: number): Lines {
    const faults = new Uint8Array(count);
    const checked = new Uint8Array(whole.length);
    let length = 0;
    let from = 0;
    for (let i = 0; i < count; i++) {
      let lf = from;
      let isAscii = true;
      for (let byte; (byte = whole[lf]!) !== LF; lf++) isAscii &&= byte <= DEL;
      const end = lf > from && whole[lf - 1] === CR ? lf - 1 : lf;
      if (this.#isSkipping || end - from > this.#lineBytesMax) faults[i] = TOO_LONG;
      else if (!isAscii && !isUtf8(whole.subarray(from, lf))) faults[i] = NOT_UTF8;
      if (faults[i] === 0) {
        checked.set(whole.subarray(from, lf + 1), length);
        length += lf + 1 - from;
      } else {
        checked[length++] = LF;
      }
      this.#isSkipping = false;
      from = lf + 1;
    }
    const text = Text.from(checked.subarray(0, length));
    return { text, count, isPrintable: false, faults };
  }
}

/** An unfinished line. Its memory doubles, up to the limit of a line, so that adding single bytes is cheap. */
class Tail {
  #bytes: Uint8Array<ArrayBuffer> = EMPTY;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds bytes. More than `bytesMax` in all are not foreseen, but taken. */
  append(bytes: Uint8Array, bytesMax = 0): void {
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(length, Math.min(2 * length, bytesMax)));
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
  /** How many bytes it has. */
  readonly length: number;
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
function surveyOf({ bytes, view }: Memory, length: number): Survey {
  let count = 0;
  let end = 0;
  let isPrintable = true;
  for (let i = 0;; i++) {
    while (i + 4 <= length && isPrintableWord(view.getInt32(i, true))) i += 4;
    if (i >= length) return { length, count, end, isPrintable };
    const byte = bytes[i]!;
    if (byte >= SPACE && byte < DEL) continue;
    if (byte === LF) {
      count++;
      end = i + 1;
    } else if (byte !== CR || i + 1 === length || bytes[i + 1] !== LF) {
      isPrintable = false;
    }
  }
}

/**
 * Whether the four bytes of a word are printable ASCII. The first bit of a byte is set where it is not ASCII;
 * subtracting a space from each sets the first bit of a control character, or of a byte after one, and
 * adding one to each that of DEL.
 */
function isPrintableWord(word: number): boolean {
  return ((word | (word - 0x20202020) | (word + 0x01010101)) & 0x80808080) === 0;
}
