/**
 * One client: its bytes go in, its replies go out. The listener makes it with an accepted socket; it
 * calls `lines`, then the gate with each line, and the turn lets its replies leave.
 *
 * @module
 */

import type { Client, Context, Services } from "./command.ts";
import { answer, malformed } from "./gate.ts";
import { isHttp, isTlsHello } from "./http.ts";
import { LineReader, type Lines } from "./lines.ts";
import { Outbox, type Recipient } from "./outbox.ts";
import { final, type Reply } from "./reply.ts";
import { NO_TIMING_MARK } from "./telnet.ts";
import type { Line } from "./request.ts";
import type { Member, Turn } from "./turn.ts";

/** What the sockets of TCP and TLS share; a test can be one too. */
export type Socket = Pick<Deno.Conn, "read" | "write" | "close" | "closeWrite">;

/** What bounds one client. */
export interface Limits {
  /** The longest line, in bytes without its end. */
  readonly lineBytesMax: number;
  /** How long a silent client is kept, in seconds; 0 is for ever. */
  readonly idleTimeout: number;
  /** How long a write may make no progress, in seconds. */
  readonly writeTimeout: number;
}

/** Past this many bytes of unsent replies no more lines are taken. */
const UNSENT_MAX = 262_144;
/** The same, and the longest line, for a client that has not given the password. */
const UNAUTHORIZED_UNSENT_MAX = 8_192;
const UNAUTHORIZED_LINE_MAX = 1_024;
/** The read buffer begins small, because most of many clients are idle, and grows while it is filled. */
const READ_BYTES_MIN = 1_024;
const READ_BYTES_MAX = 65_536;
/** After this many packets in a row that the smallest buffer would hold, it is small again. */
const SMALL_PACKETS_MAX = 16;
/** How long a closed client's last bytes are awaited, in milliseconds. */
const LINGER_MS = 1_000;
/** How long a refused client has to take the reason, in milliseconds. */
const REFUSAL_MS = 2_000;

/** What lets the turn release the reply of a handler that returned a Promise. */
const NO_LINES: Lines = {
  bytes: new Uint8Array(0),
  count: 0,
  isPrintable: true,
  faults: undefined,
};

/** One client's connection, from its first byte to its last. */
export class Connection implements Member, Recipient {
  readonly #socket: Socket;
  readonly #turn: Turn;
  readonly #limits: Limits;
  readonly #client: Client;
  readonly #context: Context;
  readonly #lines: LineReader;
  readonly #outbox: Outbox;
  #buffer = new Uint8Array(READ_BYTES_MIN);
  #smallPackets = 0;

  /** The reply of a handler that returned a Promise, while it is awaited. */
  #promised: Promise<Reply> | undefined;
  /** Whether the connection ends once its replies are sent. */
  #isLast = false;
  /** Whether its first line is still to come. */
  #isNew = true;
  #isReading = false;
  #isEnding = false;
  #isClosed = false;
  /** Sweeps since the client last sent a byte, and since it last took one. */
  #silentSweeps = 0;
  #stuckSweeps = 0;

  /** Takes over an accepted socket; `serve` or `refuse` is to follow. */
  constructor(
    socket: Socket,
    { services, turn, limits }: { services: Services; turn: Turn; limits: Limits },
  ) {
    this.#socket = socket;
    this.#turn = turn;
    this.#limits = limits;
    this.#client = { authorized: services.isPassword === undefined, wrongPasswords: 0 };
    this.#context = { ...services, client: this.#client };
    this.#lines = new LineReader(limits);
    this.#outbox = new Outbox(socket, this);
    if (!this.#client.authorized) this.#lines.tailBytesMax = UNAUTHORIZED_LINE_MAX;
  }

  /** Serves the client until it leaves or is sent away. Never throws. */
  async serve(): Promise<void> {
    try {
      const isLeft = await this.#servePackets();
      await this.#outbox.sent();
      if (!isLeft) await this.#linger();
    } catch (error) {
      if (!isDisconnect(error)) console.error("Cannot serve a client:", error);
    } finally {
      this.close();
    }
  }

  /** Sends a client away with this reply. Never throws. */
  async refuse(reply: Reply): Promise<void> {
    // It may not even begin the handshake of TLS, and then no write ends by itself.
    const timer = setTimeout(() => this.close(), REFUSAL_MS);
    try {
      await this.#socket.write(reply.bytes!);
      await this.#linger();
    } catch {
      // It left by itself, or took too long.
    } finally {
      clearTimeout(timer);
      this.close();
    }
  }

  /** Ends the connection once what it has received is answered. */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#outbox.sent();
    // A connection that is not waiting for bytes ends by itself, behind the packet it is at.
    if (this.#isReading) this.close();
  }

  /** Ends the connection at once: a read that is waiting fails, and so `serve` comes to its end. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
    this.#outbox.close();
  }

  /** Called at a steady interval, in seconds; closes the connection where it was quiet for too long. */
  sweep(interval: number): void {
    const { idleTimeout, writeTimeout } = this.#limits;
    if (this.#outbox.isSending) {
      if (this.#stuckSweeps++ * interval >= writeTimeout) this.close();
    } else if (this.#isReading) {
      if (this.#silentSweeps > 0 && this.#lines.awaitsTimingMark) this.#answerTimingMark();
      const isIdle = this.#silentSweeps++ * interval >= idleTimeout;
      if (isIdle && idleTimeout > 0) this.close();
    }
  }

  answer(line: Line): boolean {
    const reply = this.#replyTo(line);
    if (reply instanceof Promise) {
      this.#promised = reply;
      return false;
    }
    this.#outbox.add(reply);
    this.#isLast = reply.last;
    return !reply.last && this.#outbox.size <= this.#unsentMax && !this.#isClosed;
  }

  release(failure?: Reply): void {
    this.#outbox.release(failure);
  }

  noteTaken(): void {
    this.#stuckSweeps = 0;
    this.#silentSweeps = 0;
  }

  /** Answers packet after packet. Returns whether it was the client that left. */
  async #servePackets(): Promise<boolean> {
    for (let isFirst = true;; isFirst = false) {
      this.#isReading = true;
      const length = await this.#socket.read(this.#buffer);
      this.#isReading = false;
      if (length === null) return true;
      const packet = this.#received(length);
      if (isFirst && isTlsHello(packet[0]!)) {
        this.#outbox.add(final(malformed("TLS is not spoken on this port", this.#context)));
        this.#outbox.release();
        return false;
      }
      const lines = this.#lines.take(packet);
      if (lines !== undefined) await this.#serveLines(lines);
      if (this.#isLast || this.#isClosed || this.#isEnding) return false;
      this.#fitBuffer(length);
      if (lines !== undefined && this.#turn.others !== undefined) await this.#turn.others;
      if (this.#client.authorized) this.#lines.tailBytesMax = this.#limits.lineBytesMax;
    }
  }

  /** Answers lines, and waits where the turn has to: for a Promise, or for a client that does not read. */
  async #serveLines(lines: Lines): Promise<void> {
    let rest = await this.#turn.submit(this, lines);
    for (;;) {
      // Here all replies are released: one that is not would be awaited for ever.
      if (this.#outbox.size > this.#unsentMax) await this.#outbox.sent();
      if (this.#promised !== undefined) {
        const reply = await this.#promised;
        this.#promised = undefined;
        this.#outbox.add(reply);
        this.#isLast = reply.last;
        // What the handler has changed is to be committed, though nobody takes the rest.
        if (rest === undefined || this.#isLast || this.#isClosed) rest = NO_LINES;
      } else if (this.#isLast || this.#isClosed) {
        return;
      }
      if (rest === undefined) return;
      rest = await this.#turn.submit(this, rest);
    }
  }

  #replyTo(line: Line): Reply | Promise<Reply> {
    const isFirst = this.#isNew;
    this.#isNew = false;
    if (isHttp(line.text, isFirst)) {
      return final(malformed("HTTP is not spoken here", this.#context));
    }
    if (!this.#client.authorized && line.bytes.length > UNAUTHORIZED_LINE_MAX) {
      return malformed("line too long", this.#context);
    }
    return answer(line, this.#context);
  }

  /** The packet of this length that has come, which stands until the next read. */
  #received(length: number): Uint8Array<ArrayBuffer> {
    this.#silentSweeps = 0;
    return this.#buffer.subarray(0, length);
  }

  /** Makes the next packet's buffer larger where this one filled it, small again where none needs it. */
  #fitBuffer(length: number): void {
    const size = this.#buffer.length;
    this.#smallPackets = length <= READ_BYTES_MIN ? this.#smallPackets + 1 : 0;
    if (length === size && size < READ_BYTES_MAX && this.#client.authorized) {
      this.#buffer = new Uint8Array(4 * size);
    } else if (size > READ_BYTES_MIN && this.#smallPackets > SMALL_PACKETS_MAX) {
      this.#buffer = new Uint8Array(READ_BYTES_MIN);
    }
  }

  /**
   * Answers telnet's question of a Ctrl-C, so that it shows replies again. In a quiet moment, because
   * these bytes are no reply: they must not stand before one of a client that just goes on.
   */
  #answerTimingMark(): void {
    if (this.#outbox.size > 0) return;
    this.#lines.awaitsTimingMark = false;
    this.#outbox.sendAside(NO_TIMING_MARK);
  }

  get #unsentMax(): number {
    return this.#client.authorized ? UNSENT_MAX : UNAUTHORIZED_UNSENT_MAX;
  }

  /**
   * Says that no more will come, and drops what the client still sends for a moment. If bytes lay
   * unread at the close, the kernel would send a reset, and the last replies could be lost with it.
   */
  async #linger(): Promise<void> {
    await this.#socket.closeWrite();
    const timer = setTimeout(() => this.close(), LINGER_MS);
    try {
      while (await this.#socket.read(this.#buffer) !== null);
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Whether an error only says that one side has gone: nothing to report. */
function isDisconnect(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset ||
    error instanceof Deno.errors.ConnectionAborted ||
    error instanceof Deno.errors.BrokenPipe ||
    error instanceof Deno.errors.NotConnected ||
    error instanceof Deno.errors.UnexpectedEof ||
    error instanceof Deno.errors.InvalidData || // a TLS handshake that failed
    error instanceof Deno.errors.TimedOut ||
    error instanceof Deno.errors.Interrupted ||
    error instanceof Deno.errors.BadResource;
}
