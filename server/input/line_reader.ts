/**
 * Turns the bytes of one client into whole, checked lines, still as bytes. The connection reads each packet
 * into its room and submits the lines to the turn, where TextLineStream splits them.
 *
 * It guards TextLineStream, which has no limit and emits an unterminated last line: it holds back the tail of
 * a packet until the line is whole.
 *
 * @module
 */

import { isUtf8 } from "node:buffer";
import { Memory, Text } from "../../tables/text.ts";
import { InputBuffer } from "./input_buffer.ts";
import { LINE_FAULTS } from "./line.ts";
import type { Lines } from "./lines.ts";
import { mayBeTelnet, TelnetFilter } from "./telnet.ts";

const TOO_LONG = LINE_FAULTS.indexOf("too long");
const NOT_UTF8 = LINE_FAULTS.indexOf("not UTF-8");
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DEL = 0x7f;
/** After this many printable bytes in a row, there are likely to be many more. */
const SHORT_RUN = 128;

/**
 * The lines of one client.
 *
 * @example
 * ```ts
 * import { LineReader } from "./line_reader.ts";
 *
 * const lines = new LineReader({ lineBytesMax: 1_024 });
 * const take = (packet: string) => {
 *   const { written } = new TextEncoder().encodeInto(packet, lines.room());
 *   return String(lines.take(written)?.text);
 * };
 * console.log(take("GET a\r\nGE")); // "GET a\r\n"
 * console.log(take("T b\nGET c\n")); // "GET b\nGET c\n"
 * ```
 */
export class LineReader {
  readonly #telnet = new TelnetFilter();
  readonly #lineBytesMax: number;
  #tailBytesMax = 0;
  readonly #buffer = new InputBuffer();
  /** Whether the unfinished line is printable ASCII so far. */
  #isTailPrintable = true;
  /** Whether the current line is too long, and the rest of it is to be dropped. */
  #isSkipping = false;
  /** What follows a timing mark in its packet. */
  #behindMark: Uint8Array<ArrayBuffer> | undefined;

  /** Lines may have this many bytes, without LF or CR LF. */
  constructor({ lineBytesMax }: { lineBytesMax: number }) {
    this.#lineBytesMax = lineBytesMax;
    this.tailBytesMax = lineBytesMax;
  }

  /**
   * Whether telnet waits for a timing mark, due after the replies to the lines so far; set it to false once
   * answered, before taking more.
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
    this.#buffer.lineBytesMax = bytes;
  }

  /** Where to read the next packet to. The lines so far must have been answered: they may be in this memory. */
  room(): Uint8Array<ArrayBuffer> {
    // The extra byte is for the CR of a CR LF.
    if (this.#buffer.length > this.#tailBytesMax + 1) this.#isSkipping = true;
    if (this.#isSkipping) this.#buffer.take(this.#buffer.end);
    return this.#buffer.room();
  }

  /**
   * The lines that end in the packet of this many bytes that was read to the room; undefined if none does.
   * They stay in that memory, so read nothing until they are answered. If telnet asks for a timing mark
   * within the packet, this takes only what comes before it: `takeRest` continues.
   */
  take(length: number): Lines | undefined {
    const buffer = this.#buffer;
    const { memory, end: from } = buffer;
    buffer.add(length);
    const survey = surveyOf(memory, from, buffer.end);
    if (survey.isPrintable && this.#telnet.passes(memory.bytes[buffer.end - 1])) {
      return this.#linesOf(survey);
    }
    const packet = memory.bytes.subarray(from, buffer.end);
    if (!mayBeTelnet(packet) && this.#telnet.passes(packet.at(-1))) return this.#linesOf(survey);
    buffer.end = from;
    return this.#takeStripped(packet.slice());
  }

  /** Whether bytes of the packet remain after a timing mark. */
  get hasRest(): boolean {
    return this.#behindMark !== undefined;
  }

  /** The lines that end there, as `take` would return them. */
  takeRest(): Lines | undefined {
    return this.#takeStripped(this.#behindMark!);
  }

  #takeStripped(packet: Uint8Array<ArrayBuffer>): Lines | undefined {
    const text = this.#telnet.strip(packet);
    const { end } = this.#telnet;
    this.#behindMark = end < packet.length ? packet.subarray(end) : undefined;
    const buffer = this.#buffer;
    buffer.ensure(text.length);
    const from = buffer.end;
    buffer.memory.bytes.set(text, from);
    buffer.end += text.length;
    return this.#linesOf(surveyOf(buffer.memory, from, buffer.end));
  }

  /** The lines that end in what has been added, which this was found of. */
  #linesOf({ count, end, isPrintable }: PacketSurvey): Lines | undefined {
    if (count === 0) {
      this.#isTailPrintable &&= isPrintable;
      return undefined;
    }
    const buffer = this.#buffer;
    const arePrintable = isPrintable && this.#isTailPrintable;
    const text = new Text(buffer.memory, buffer.start, end);
    buffer.take(end);
    this.#isTailPrintable = isPrintable || buffer.length === 0;
    const isPlain = !this.#isSkipping && text.length <= this.#lineBytesMax &&
      (arePrintable || isUtf8(text.toBytes()));
    return isPlain
      ? { text, count, isPrintable: arePrintable, faults: undefined }
      : this.#checkEach(text.toBytes(), count);
  }

  /** The slow path, a line at a time, so that a line that is too long or not UTF-8 spoils no other line. */
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

/** What a packet consists of. */
interface PacketSurvey {
  /** How many lines end in it. */
  readonly count: number;
  /** Where the last of these lines ends: the byte after its LF. */
  readonly end: number;
  /** Whether it holds nothing but printable ASCII, LF and CR LF. */
  readonly isPrintable: boolean;
}

/**
 * Examines every byte from one place to another, so that later steps need not: four at a time while they are
 * printable ASCII, as most are, and 32 at a time in a long line.
 */
function surveyOf({ bytes, view }: Memory, from: number, to: number): PacketSurvey {
  let count = 0;
  let end = from;
  let isPrintable = true;
  for (let i = from;; i++) {
    const near = i + SHORT_RUN;
    while (i + 4 <= to && isPrintableWord(view.getInt32(i, true)) && i < near) i += 4;
    if (i >= near) { while (i + 32 <= to && arePrintableWords(view, i)) i += 32; }
    if (i >= to) return { count, end, isPrintable };
    const byte = bytes[i]!;
    if (byte >= SPACE && byte < DEL) continue;
    if (byte === LF) {
      count++;
      end = i + 1;
    } else if (byte !== CR || i + 1 === to || bytes[i + 1] !== LF) {
      isPrintable = false;
    }
  }
}

/** Whether the next 32 bytes are printable ASCII. */
function arePrintableWords(view: DataView, at: number): boolean {
  const first = longSignsOf(view.getBigInt64(at)) | longSignsOf(view.getBigInt64(at + 8));
  const last = longSignsOf(view.getBigInt64(at + 16)) | longSignsOf(view.getBigInt64(at + 24));
  return BigInt.asIntN(64, (first | last) & -0x7f7f7f7f7f7f7f80n) === 0n;
}

/** Whether the four bytes of a word are printable ASCII. */
function isPrintableWord(word: number): boolean {
  return (signsOf(word) & 0x80808080) === 0;
}

/**
 * The first bit of a byte is set where it is not ASCII; subtracting a space from each sets the first bit of a
 * control character, or of a byte after one, and adding one to each that of DEL.
 */
function signsOf(word: number): number {
  return word | (word - 0x20202020) | (word + 0x01010101);
}

/** The same for eight bytes: the engine makes no big integer of what is cut to 64 bits, and computes with those. */
function longSignsOf(word: bigint): bigint {
  return BigInt.asIntN(
    64,
    word | BigInt.asIntN(64, word - 0x2020202020202020n) |
      BigInt.asIntN(64, word + 0x0101010101010101n),
  );
}
