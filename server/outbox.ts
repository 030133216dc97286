/**
 * The replies of one client on their way out. `connection.ts` adds each reply and releases them when the
 * turn is over; until then they may still be taken back.
 *
 * @module
 */

import type { Reply } from "./reply.ts";

/** Whom an outbox tells of its client. */
export interface Recipient {
  /** The client has taken some bytes. */
  noteTaken(): void;
  /** The client has gone: it takes no more. */
  close(): void;
}

/** Most replies fit in a small buffer, which is used again: making one costs more than filling it. */
const SPARE_BYTES = 16_384;
const SPARES_MAX = 64;
const spares: Uint8Array[] = [];
const NONE = new Uint8Array(0);
/** A UTF-16 unit is at most so many bytes of UTF-8. */
const UNIT_BYTES = 3;
/** Of so few units bytes are made when they are sent, which is soon. */
const FEW_UNITS = 512;

const utf8 = new TextEncoder();

/** The replies of one client that are not sent yet. */
export class Outbox {
  readonly #socket: Pick<Deno.Conn, "write">;
  readonly #recipient: Recipient;
  /** The replies of which no bytes are made yet. */
  #text = "";
  /** Those before them; how much is sent, how much may be, and how much there is. */
  #bytes: Uint8Array = NONE;
  #sentLength = 0;
  #releasedLength = 0;
  #length = 0;
  /** How many replies may still be taken back. */
  #unreleasedCount = 0;
  #isSending = false;
  #isClosed = false;
  #allSent: PromiseWithResolvers<void> | undefined;

  /** An empty one, which sends to this socket. */
  constructor(socket: Pick<Deno.Conn, "write">, recipient: Recipient) {
    this.#socket = socket;
    this.#recipient = recipient;
  }

  /** How much is not sent, in bytes or, of what is not held yet, in UTF-16 units. */
  get size(): number {
    return this.#text.length + this.#length - this.#sentLength;
  }

  /** Whether a write is under way. */
  get isSending(): boolean {
    return this.#isSending;
  }

  /** Whether there are replies that may still be taken back. */
  get hasUnreleased(): boolean {
    return this.#unreleasedCount > 0;
  }

  /** Adds a reply. */
  add(reply: Reply): void {
    this.#text += reply.wire;
    this.#unreleasedCount++;
  }

  /** To be called behind many replies: makes bytes of them while they are in the processor's caches. */
  hold(): void {
    if (this.#text.length > FEW_UNITS) this.#encode();
  }

  /** Sends all replies. Where `failure` is given, it takes the place of each that is not released. */
  release(failure?: Reply): void {
    if (failure !== undefined) {
      this.#length = this.#releasedLength;
      this.#text = failure.wire.repeat(this.#unreleasedCount);
    }
    if (this.#text !== "") this.#encode();
    this.#releasedLength = this.#length;
    this.#unreleasedCount = 0;
    if (!this.#isSending) this.#send();
  }

  /** Sends bytes that are no reply, which an outbox must be empty for. */
  sendAside(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#length = bytes.length;
    this.release();
  }

  /** Waits until everything is sent, or nothing can be any more. */
  async sent(): Promise<void> {
    if (this.size === 0 || this.#isClosed) return;
    this.#allSent ??= Promise.withResolvers();
    await this.#allSent.promise;
    this.#allSent = undefined;
  }

  /** Sends no more. */
  close(): void {
    this.#isClosed = true;
    this.#allSent?.resolve();
  }

  /** Sends what is released, and what is released meanwhile. One write is under way at a time. */
  async #send(): Promise<void> {
    this.#isSending = true;
    try {
      while (this.#sentLength < this.#releasedLength && !this.#isClosed) {
        const bytes = this.#bytes.subarray(this.#sentLength, this.#releasedLength);
        const length = await this.#socket.write(bytes);
        this.#sentLength += length;
        this.#recipient.noteTaken();
      }
    } catch {
      this.#recipient.close();
    }
    this.#isSending = false;
    if (this.#sentLength === this.#length) this.#letGo();
    if (this.size === 0) this.#allSent?.resolve();
  }

  #encode(): void {
    const text = this.#text;
    this.#text = "";
    const bytesMax = UNIT_BYTES * text.length;
    if (this.#length === 0 && bytesMax > SPARE_BYTES) {
      this.#bytes = utf8.encode(text);
      this.#length = this.#bytes.length;
      return;
    }
    if (bytesMax > this.#bytes.length - this.#length) this.#makeRoom(bytesMax);
    const room = this.#length === 0 ? this.#bytes : this.#bytes.subarray(this.#length);
    this.#length += utf8.encodeInto(text, room).written;
  }

  /** Moves what is not sent to a buffer with this much room behind it. */
  #makeRoom(bytes: number): void {
    const unsent = this.#bytes.subarray(this.#sentLength, this.#length);
    const size = unsent.length + bytes;
    const spare = size <= SPARE_BYTES ? spares.pop() : undefined;
    // The buffer before is left alone: a write may be under way with it.
    this.#bytes = spare ?? new Uint8Array(Math.max(2 * unsent.length + bytes, SPARE_BYTES));
    this.#bytes.set(unsent);
    this.#releasedLength -= this.#sentLength;
    this.#length -= this.#sentLength;
    this.#sentLength = 0;
  }

  /** Holds no memory any more, now that it is empty. */
  #letGo(): void {
    if (this.#bytes.length === SPARE_BYTES && spares.length < SPARES_MAX) spares.push(this.#bytes);
    this.#bytes = NONE;
    this.#sentLength = this.#releasedLength = this.#length = 0;
  }
}
