/**
 * A client that takes the replies of an outbox a few bytes at a time.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { Outbox, type Recipient } from "../../server/dispatch/outbox.ts";
import { MemorySocket, until } from "./memory_socket.ts";

/** An outbox, and the client at its other end, which takes bytes when a test says so. */
export class SlowClient implements Recipient {
  readonly #socket = new MemorySocket();
  readonly outbox = new Outbox(this.#socket, { recipient: this, bytesMax: 262_144 });
  isGone = false;
  text = "";
  #notes = 0;

  constructor() {
    this.#socket.block();
  }

  /** Takes so many bytes, of as many writes as it has to; `Infinity`: all there are. */
  async take(length: number): Promise<void> {
    const socket = this.#socket;
    for (let left = length; left > 0 && socket.writing > 0;) {
      assertEquals(socket.writing, 1, "one write at a time");
      const written = socket.writes.at(-1)!;
      assert(written > 0);
      const notes = this.#notes;
      socket.writeBytesMax = left;
      socket.unblock();
      socket.block(); // for the next
      await until(() => this.#notes > notes);
      assertEquals(this.#notes, notes + 1);
      left -= Math.min(written, left);
    }
    this.text += socket.take();
  }

  /** Leaves, so that the next write fails. */
  async leave(): Promise<void> {
    this.#socket.close();
    await until(() => this.#socket.writing === 0 && this.isGone);
  }

  onProgress(): void {
    this.#notes++;
  }

  close(): void {
    this.isGone = true;
  }
}
