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

/** The memory in which packets are stripped, one after another. */
let stripped = new Uint8Array(16_384);

/** What the next byte belongs to. */
type State = "text" | "command" | "option" | "subnegotiation" | "subnegotiation command";

/**
 * The telnet state of one client. Packets may split a sequence anywhere.
 *
 * IAC begins a command only before a byte from 240 to 255 (RFC 854). Before any other it is a byte of text, as
 * IAC IAC is, and makes a line that is not UTF-8. CR NUL ends a line as CR LF does, because that is what a
 * telnet client in character mode sends for the return key.
 */
export class TelnetFilter {
  #state: State = "text";
  #afterReturn = false;
  #command = 0;
  /** How many bytes the subnegotiation has so far. */
  #subnegotiationBytes = 0;

  /** How many bytes a subnegotiation may have; from there on, a longer one is text. */
  subnegotiationBytesMax: number = Infinity;
  /**
   * Whether the client waits for a timing mark: telnet asks for one on Ctrl-C, and discards whatever it
   * receives before the answer.
   */
  awaitsTimingMark = false;
  /**
   * Where the bytes that `strip` has taken end: at the end of the packet, or at the text after a timing
   * mark.
   */
  end = 0;

  /** Takes a packet without IAC or NUL, by its last byte. False: `strip` must see it nevertheless. */
  passes(last: number | undefined): boolean {
    if (this.#state !== "text") return false;
    this.#afterReturn = last === CR;
    return true;
  }

  /**
   * The text of a packet up to its end, or up to the text after a timing mark. Valid until the next call of
   * any filter: a packet may hold thousands of marks, and memory for each would cost too much.
   */
  strip(packet: Uint8Array): Uint8Array<ArrayBuffer> {
    // One more: an IAC of the packet before may turn out to be text.
    if (stripped.length <= packet.length) stripped = new Uint8Array(packet.length + 1);
    const text = stripped;
    let length = 0;
    let at = 0;
    for (; at < packet.length; at++) {
      const byte = packet[at]!;
      if (this.awaitsTimingMark && this.#isText(byte)) break;
      if (this.#state === "command" && byte < SE) text[length++] = this.#text(IAC);
      const kept = this.#next(byte);
      if (kept !== undefined) text[length++] = kept;
    }
    this.end = at;
    return text.subarray(0, length);
  }

  /** Whether this byte is text, or makes text of the IAC before it. */
  #isText(byte: number): boolean {
    if (this.#state === "command") return byte < SE || byte === IAC;
    return this.#state === "text" && byte !== IAC;
  }

  /** Takes one byte; returns it, or the LF that it stands for, if it is text. */
  #next(byte: number): number | undefined {
    switch (this.#state) {
      case "text":
        if (byte === IAC) {
          this.#state = "command";
          return undefined;
        }
        return this.#text(byte);
      case "command":
        this.#subnegotiationBytes = 0;
        if (byte === SB) this.#state = "subnegotiation";
        else if (byte >= WILL && byte < IAC) this.#state = "option";
        else this.#state = "text";
        this.#command = byte;
        return byte === IAC || byte < SE ? this.#text(byte) : undefined;
      case "option":
        this.#state = "text";
        if (this.#command === DO && byte === TIMING_MARK) this.awaitsTimingMark = true;
        return undefined;
      case "subnegotiation":
        if (byte === IAC) this.#state = "subnegotiation command";
        return this.#swallow();
      case "subnegotiation command":
        this.#state = byte === SE ? "text" : "subnegotiation";
        return this.#swallow();
    }
  }

  /** Drops a byte of a subnegotiation; if that grows too long, an IAC in the text marks it. */
  #swallow(): number | undefined {
    if (++this.#subnegotiationBytes <= this.subnegotiationBytesMax) return undefined;
    this.#state = "text";
    return this.#text(IAC);
  }

  #text(byte: number): number {
    const endsLine = byte === NUL && this.#afterReturn;
    this.#afterReturn = byte === CR;
    return endsLine ? LF : byte;
  }
}

/** Whether a packet may hold bytes of telnet. */
export function mayBeTelnet(packet: Uint8Array): boolean {
  return packet.includes(IAC) || packet.includes(NUL);
}
