/**
 * The replies of one client on their way out. The session adds each reply and releases them once the turn
 * has committed; until then they can still be replaced by a failure.
 *
 * @module
 */

import { copyText, Memory, type Text } from "../../tables/text.ts";
import { giveMemory, takeMemory } from "../memory_pool.ts";
import { type Reply, VALUE_HEAD, VALUE_TAIL } from "../reply.ts";

/** What takes replies: a socket, or what stands in for one. */
export interface Sink {
  /** Takes some of these bytes; resolves to how many. They must not change meanwhile. */
  write(bytes: Uint8Array<ArrayBuffer>): Promise<number>;
}

/** What an outbox calls. */
export interface Recipient {
  /** The client has taken this many bytes. */
  onProgress(bytes: number): void;
  /** The client has gone. */
  close(): void;
}

/** A reply of so many bytes always fits: it must not run twice, because it may have changed its client. */
const SHORT_BYTES = 1_024;

/** From this length on, a stored value is leased, in bytes: to copy it costs more than a write of its own. */
const LEASED_BYTES_MIN = 65_536;

const NONE = new Memory(0);

/** A reply that leaves from the table's memory. */
interface LeasedReply {
  /** How many bytes of the buffer leave before it. */
  at: number;
  /** What it leaves from. */
  readonly memory: Memory;
  /** Its bytes that have not been sent. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** The replies of one client that have not been sent. */
export class Outbox {
  readonly #sink: Sink;
  readonly #recipient: Recipient;
  /** How many bytes it holds at most, unless a single reply is longer. */
  bytesMax: number;
  #buffer = NONE;
  /** How long it was the last time: the next replies find memory of that size at once. */
  #foreseenLength = 0;
  /** How many bytes of the buffer have been sent. */
  #sentLength = 0;
  /** How many may be sent. */
  #releasedLength = 0;
  /** How many are filled. */
  #length = 0;
  /** The replies that leave from elsewhere than the buffer, in order. */
  readonly #leased: LeasedReply[] = [];
  /** How many of them may be sent, and how many bytes of all have not been. */
  #releasedLeases = 0;
  #leasedBytes = 0;
  /** How many replies a failure would still replace. */
  #unreleasedCount = 0;
  #isSending = false;
  #isClosed = false;
  #allSent: PromiseWithResolvers<void> | undefined;
  // Made once, where an async function makes several objects for each write.
  readonly #onSent = (length: number) => {
    if (this.#isLeasedNext) this.#countLeasedSent(length);
    else this.#sentLength += length;
    this.#recipient.onProgress(length);
    this.#send();
  };
  readonly #onLost = () => {
    this.#isSending = false;
    this.close();
    this.#recipient.close();
  };

  /** An empty outbox, which writes to this sink, and holds so many bytes at most. */
  constructor(
    sink: Sink,
    { recipient, bytesMax }: { recipient: Recipient; bytesMax: number },
  ) {
    this.#sink = sink;
    this.#recipient = recipient;
    this.bytesMax = bytesMax;
  }

  /** The size of what has not been sent, in bytes. */
  get size(): number {
    return this.#length - this.#sentLength + this.#leasedBytes;
  }

  /** Whether a write is under way. */
  get isSending(): boolean {
    return this.#isSending;
  }

  /** How many more bytes it takes; less than 0 where it holds too many. */
  get room(): number {
    return this.bytesMax - this.size;
  }

  /** Whether it takes a reply: it is short, or there is room for it, or it is the only one. */
  fits({ length }: Reply): boolean {
    return length <= SHORT_BYTES || length <= this.room || this.size === 0;
  }

  /** Adds a copy of a reply, or leases what it refers to. */
  add({ bytes, value }: Reply): void {
    if (value === undefined) this.#append(bytes!);
    else if (value.length >= LEASED_BYTES_MIN && value.memory.isLeasable) this.#lease(value);
    else this.#appendValue(value);
    this.#unreleasedCount++;
  }

  /** Sends all replies. Where `failure` is given, it replaces each that was not released before. */
  release(failure?: Reply): void {
    if (failure !== undefined) {
      const count = this.#unreleasedCount;
      this.drop();
      for (let i = 0; i < count; i++) this.#append(failure.bytes!);
    }
    this.#releasedLength = this.#length;
    this.#releasedLeases = this.#leased.length;
    this.#unreleasedCount = 0;
    if (!this.#isSending) this.#send();
  }

  /** Drops the replies that have not been released. */
  drop(): void {
    this.#length = this.#releasedLength;
    this.#unreleasedCount = 0;
    while (this.#leased.length > this.#releasedLeases) this.#endLease(this.#leased.pop()!);
  }

  /** Sends bytes that are not a reply; the outbox must be empty. */
  sendAside(bytes: Uint8Array): void {
    this.#append(bytes);
    this.release();
  }

  /** Waits until everything has been sent, or the client has gone. */
  async sent(): Promise<void> {
    if (this.size === 0 || this.#isClosed) return;
    this.#allSent ??= Promise.withResolvers();
    await this.#allSent.promise;
    this.#allSent = undefined;
  }

  /** Whether the client has gone. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends the client away. */
  abort(): void {
    this.#recipient.close();
  }

  /** Stops sending. */
  close(): void {
    this.#isClosed = true;
    this.#allSent?.resolve();
    // A write that is under way still reads the first of them.
    if (!this.#isSending) this.#endLeases();
  }

  /** Sends what is released, and what is released meanwhile, in one write at a time. */
  #send(): void {
    if (this.#isClosed) {
      this.#isSending = false;
      this.#endLeases();
      return;
    }
    this.#isSending = this.#sentLength < this.#releasedLength || this.#releasedLeases > 0;
    if (this.#isSending) {
      const bytes = this.#isLeasedNext
        ? this.#leased[0]!.bytes
        : this.#buffer.bytes.subarray(this.#sentLength, this.#copiedEnd);
      this.#sink.write(bytes).then(this.#onSent, this.#onLost);
    } else if (this.size === 0) {
      this.#releaseBuffer();
      this.#allSent?.resolve();
    }
  }

  /** Whether what leaves next is leased; it does not change while that is being written. */
  get #isLeasedNext(): boolean {
    return this.#leased.length > 0 && this.#leased[0]!.at === this.#sentLength;
  }

  /** Where those bytes of the buffer end that leave next. */
  get #copiedEnd(): number {
    return this.#releasedLeases > 0 ? this.#leased[0]!.at : this.#releasedLength;
  }

  /** Refers to a value, and puts around it what makes it a reply: the same for everyone who leases it. */
  #lease({ memory, start, end }: Text): void {
    memory.lease();
    memory.bytes.set(VALUE_HEAD, start - VALUE_HEAD.length);
    memory.bytes.set(VALUE_TAIL, end);
    const bytes = memory.bytes.subarray(start - VALUE_HEAD.length, end + VALUE_TAIL.length);
    this.#leased.push({ at: this.#length, memory, bytes });
    this.#leasedBytes += bytes.length;
  }

  #countLeasedSent(length: number): void {
    const first = this.#leased[0]!;
    first.bytes = first.bytes.subarray(length);
    this.#leasedBytes -= length;
    if (first.bytes.length > 0) return;
    this.#leased.shift();
    this.#releasedLeases--;
    this.#endLease(first);
  }

  #endLease({ memory, bytes }: LeasedReply): void {
    this.#leasedBytes -= bytes.length;
    memory.endLease();
  }

  #endLeases(): void {
    this.#releasedLeases = 0;
    for (const each of this.#leased.splice(0)) this.#endLease(each);
  }

  #appendValue(value: Text): void {
    const length = value.length + VALUE_HEAD.length + VALUE_TAIL.length;
    if (length > this.#buffer.bytes.length - this.#length) this.#makeRoom(length);
    const { bytes } = this.#buffer;
    let at = this.#length;
    for (let i = 0; i < VALUE_HEAD.length; i++) bytes[at++] = VALUE_HEAD[i]!;
    copyText(value, this.#buffer, at);
    at += value.length;
    for (let i = 0; i < VALUE_TAIL.length; i++) bytes[at++] = VALUE_TAIL[i]!;
    this.#length = at;
  }

  #append(bytes: Uint8Array): void {
    if (bytes.length > this.#buffer.bytes.length - this.#length) this.#makeRoom(bytes.length);
    const to = this.#buffer.bytes;
    // Most replies are short, and for those a loop is faster than a call of `set`.
    if (bytes.length > 64) to.set(bytes, this.#length);
    else for (let i = 0; i < bytes.length; i++) to[this.#length + i] = bytes[i]!;
    this.#length += bytes.length;
  }

  /** Moves what has not been sent to a buffer with this many bytes of room after it. */
  #makeRoom(bytes: number): void {
    const size = this.#length - this.#sentLength;
    const before = this.#buffer;
    this.#buffer = takeMemory(Math.max(size + bytes, this.#foreseenLength));
    if (size > 0) this.#buffer.bytes.set(before.bytes.subarray(this.#sentLength, this.#length));
    // A write that is under way still reads the old one.
    if (!this.#isSending) giveMemory(before);
    for (const each of this.#leased) each.at -= this.#sentLength;
    this.#releasedLength -= this.#sentLength;
    this.#length = size;
    this.#sentLength = 0;
  }

  /** Gives the buffer back, now that it is empty. */
  #releaseBuffer(): void {
    giveMemory(this.#buffer);
    this.#buffer = NONE;
    this.#foreseenLength = this.#length;
    this.#sentLength = this.#releasedLength = this.#length = 0;
  }
}
