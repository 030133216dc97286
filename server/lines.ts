/**
 * Turns the bytes of one client into whole, checked lines. `connection.ts` gives it each packet
 * and gets the lines; behind it only text is left.
 *
 * A guard of ours stands in front of TextLineStream, because that one has no limit, replaces bytes
 * that are no UTF-8, and emits a last line that nothing ended. The guard holds back what is no whole
 * line yet, so an unterminated tail never comes out.
 *
 * @module
 */

import { splitLines } from "./splitter.ts";
import { TelnetFilter } from "./telnet.ts";

/** What is wrong with a line that is no text. */
export type LineFault = "too long" | "not UTF-8";

const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DEL = 0x7f;
/** Opens a line that stands for a fault. Lone surrogates don't come out of UTF-8: no client sends it. */
const FAULT = "\ud800";
const EMPTY = new Uint8Array(0);
const NO_LINES: Promise<string[]> = Promise.resolve([]);

// ignoreBOM: a leading U+FEFF is text; without the option it would vanish, and two keys be one.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Takes a third of the time, but puts REPLACEMENT where the fatal one throws. */
const lenientDecoder = new TextDecoder("utf-8", { ignoreBOM: true });
const REPLACEMENT = "\ufffd";

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
 * console.log(await lines.read(new TextEncoder().encode("GET a\r\nGE"))); // ["GET a"]
 * console.log(await lines.read(new TextEncoder().encode("T b\nGET c\n"))); // ["GET b", "GET c"]
 * ```
 */
export class LineReader {
  readonly #telnet = new TelnetFilter();
  readonly #guard: LineGuard;

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

  /** Whether the lines of the last packet hold nothing but printable ASCII. */
  get isPrintable(): boolean {
    return this.#guard.isPrintable;
  }

  /** How many bytes of a line are kept, at most, while its end has not come. */
  set tailBytesMax(bytes: number) {
    this.#guard.tailBytesMax = bytes;
  }

  /** The lines that end in this packet, which is not used any more when this returns. */
  read(packet: Uint8Array): Promise<string[]> {
    let survey = surveyOf(packet);
    const bytes = this.#telnet.strip(packet, survey);
    if (bytes !== packet) survey = surveyOf(bytes);
    const text = this.#guard.push(bytes, survey);
    if (survey.lineCount === 0) return NO_LINES;
    this.awaitsTimingMark = false;
    return splitLines(text, survey.lineCount);
  }
}

/** What the bytes of a packet are. */
interface Survey {
  /** How many lines end in it. */
  readonly lineCount: number;
  /** Whether it holds nothing but printable ASCII, and LF or CR LF. */
  readonly isPrintable: boolean;
}

/** Lets only whole lines of valid text through, in front of TextLineStream. */
class LineGuard {
  tailBytesMax: number;
  /** Whether what was pushed last is printable, with the tail that it came behind. */
  isPrintable = true;
  readonly #lineBytesMax: number;
  #tail = new Tail();
  #skipping = false;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
    this.tailBytesMax = lineBytesMax;
  }

  /** The text of the lines that end in these bytes. */
  push(bytes: Uint8Array, { lineCount, isPrintable }: Survey): string {
    this.isPrintable = isPrintable && (this.#tail.length === 0 || this.isPrintable);
    if (lineCount === 0) {
      this.#keep(bytes);
      return "";
    }
    const end = bytes.lastIndexOf(LF) + 1;
    const ended = end === bytes.length ? bytes : bytes.subarray(0, end);
    const whole = this.#tail.length === 0 ? ended : this.#tail.take(ended);
    const simple = !this.#skipping && whole.length <= this.#lineBytesMax;
    const text = (simple ? decodeAll(whole) : undefined) ?? this.#decodeEach(whole);
    if (end < bytes.length) this.#keep(bytes.subarray(end));
    return text;
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
  #decodeEach(whole: Uint8Array): string {
    let text = "";
    let from = 0;
    for (let lf = whole.indexOf(LF); lf >= 0; lf = whole.indexOf(LF, from)) {
      const end = whole[lf - 1] === CR && lf > from ? lf - 1 : lf;
      const tooLong = this.#skipping || end - from > this.#lineBytesMax;
      text += tooLong ? `${FAULT}too long\n` : decodeLine(whole.subarray(from, lf + 1));
      this.#skipping = false;
      from = lf + 1;
    }
    return text;
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

  /** The tail and these bytes, as one array; the tail is empty then. */
  take(bytes: Uint8Array): Uint8Array {
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

/** Looks at each byte, once: what it finds spares the looks that others would have to take. */
function surveyOf(bytes: Uint8Array): Survey {
  let lineCount = 0;
  let isPrintable = true;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte >= SPACE && byte < DEL) continue;
    if (byte === LF) lineCount++;
    else if (byte !== CR || bytes[i + 1] !== LF) isPrintable = false;
  }
  return { lineCount, isPrintable };
}

/** The text, or undefined where these may be no UTF-8: what a client sends may hold a REPLACEMENT, too. */
function decodeAll(whole: Uint8Array): string | undefined {
  const text = lenientDecoder.decode(whole);
  return text.includes(REPLACEMENT) ? undefined : text;
}

function decodeLine(line: Uint8Array): string {
  try {
    return decoder.decode(line);
  } catch {
    return `${FAULT}not UTF-8\n`;
  }
}
