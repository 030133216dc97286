/**
 * Removes telnet's own bytes from what a client sends (RFC 854, 855), before anything is decoded. The
 * line reader calls it with each packet.
 *
 * @module
 */

const NUL = 0x00;
const LF = 0x0a;
const CR = 0x0d;
const SE = 0xf0; // the end of a subnegotiation
const SB = 0xfa; // its beginning
const WILL = 0xfb; // the first of WILL, WONT, DO and DONT, which name an option
const DO = 0xfd;
const IAC = 0xff; // "interpret as command"
const TIMING_MARK = 0x06; // RFC 860

/** What answers a timing mark: IAC WONT TIMING-MARK. */
export const NO_TIMING_MARK: Uint8Array = new Uint8Array([IAC, 0xfc, TIMING_MARK]);

/** What the next byte belongs to. */
type State = "text" | "command" | "option" | "subnegotiation" | "subnegotiation command";

/**
 * The telnet state of one client. Packets may split a sequence anywhere.
 *
 * IAC IAC is the byte 0xFF (RFC 854), which never occurs in UTF-8. CR NUL ends a line as CR LF does,
 * because that is what a telnet client in character mode sends for the return key.
 */
export class TelnetFilter {
  #state: State = "text";
  #afterReturn = false;
  #command = 0;

  /**
   * Whether the client waits for a timing mark: telnet asks for one on Ctrl-C, and discards whatever it
   * receives before the answer.
   */
  awaitsTimingMark = false;

  /** Takes a packet without IAC or NUL, by its last byte. False: `strip` must see it nevertheless. */
  passes(last: number | undefined): boolean {
    if (this.#state !== "text") return false;
    this.#afterReturn = last === CR;
    return true;
  }

  /** The packet without telnet's bytes; the same array where there are none. */
  strip(packet: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const isText = !packet.includes(IAC) && !packet.includes(NUL);
    if (isText && this.passes(packet.at(-1))) return packet;
    const text = new Uint8Array(packet.length);
    let length = 0;
    for (const byte of packet) {
      const kept = this.#next(byte);
      if (kept !== undefined) text[length++] = kept;
    }
    return text.subarray(0, length);
  }

  /** Takes one byte; returns it, or the LF that it stands for, where it is text. */
  #next(byte: number): number | undefined {
    switch (this.#state) {
      case "text":
        if (byte === IAC) {
          this.#state = "command";
          return undefined;
        }
        return this.#text(byte);
      case "command":
        if (byte === SB) this.#state = "subnegotiation";
        else if (byte >= WILL && byte < IAC) this.#state = "option";
        else this.#state = "text";
        this.#command = byte;
        return byte === IAC ? this.#text(IAC) : undefined;
      case "option":
        this.#state = "text";
        if (this.#command === DO && byte === TIMING_MARK) this.awaitsTimingMark = true;
        return undefined;
      case "subnegotiation":
        if (byte === IAC) this.#state = "subnegotiation command";
        return undefined;
      case "subnegotiation command":
        this.#state = byte === SE ? "text" : "subnegotiation";
        return undefined;
    }
  }

  #text(byte: number): number {
    const endsLine = byte === NUL && this.#afterReturn;
    this.#afterReturn = byte === CR;
    return endsLine ? LF : byte;
  }
}
