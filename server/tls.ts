/**
 * TLS on a socket that is accepted already. The listener wraps each one where TLS is set; a connection
 * then reads and writes as it does without.
 *
 * The listening TLS sockets of Deno close a client only once its handshake is over, so that one that
 * says nothing would keep its descriptor. Here the handshake runs over a plain socket, which can be closed
 * at any time. It is by `node:tls`, because `Deno.startTls` is for clients.
 *
 * @module
 */

import { Duplex } from "node:stream";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import type { Socket } from "./connection.ts";

/** A certificate and its key, both in PEM. */
export interface Certificate {
  /** The certificate, with those that it rests on behind it. */
  readonly cert: string;
  /** Its key. */
  readonly key: string;
}

/** How much is read at a time: most clients are idle, and each holds so many bytes. */
const READ_BYTES = 4_096;
/** How much is written at a time, so that it shows that a slow client takes something. */
const WRITE_BYTES_MAX = 65_536;

/** What sockets are wrapped with. Throws where the certificate and the key are no pair in PEM. */
export function contextOf({ cert, key }: Certificate): SecureContext {
  // Deno looks at a certificate when it listens, and at no other time.
  Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
  return createSecureContext({ cert, key });
}

/** The server's end of TLS; the handshake takes place while the first bytes are awaited. */
export class TlsSocket implements Socket {
  readonly #socket: Socket;
  readonly #tls: TLSSocket;
  #unread: Uint8Array | undefined;
  #hasEnded = false;
  #isClosed = false;
  /** Waits for bytes, or for the end of a write. */
  #reading: PromiseWithResolvers<void> | undefined;
  #writing: PromiseWithResolvers<void> | undefined;

  /** Takes over an accepted socket. */
  constructor(socket: Socket, secureContext: SecureContext) {
    this.#socket = socket;
    const stream = streamOver(socket).on("error", () => this.#lose()).on(
      "close",
      () => this.#lose(),
    );
    // Its types want a socket of node:net; any stream will do.
    this.#tls = new TLSSocket(stream as never, { isServer: true, secureContext });
    this.#tls.on("readable", () => this.#reading?.resolve());
    this.#tls.on("end", () => {
      this.#hasEnded = true;
      this.#reading?.resolve();
    });
    this.#tls.on("error", () => this.#lose()).on("close", () => this.#lose());
  }

  /** Reads some bytes; null at the end. Throws Interrupted where the connection is gone. */
  async read(buffer: Uint8Array): Promise<number | null> {
    let bytes: Uint8Array | null;
    while ((bytes = this.#unread ?? this.#tls.read()) === null) {
      if (this.#hasEnded) return null;
      if (this.#isClosed) throw new Deno.errors.Interrupted();
      this.#reading = Promise.withResolvers();
      await this.#reading.promise;
    }
    const length = Math.min(bytes.length, buffer.length);
    buffer.set(bytes.subarray(0, length));
    this.#unread = length < bytes.length ? bytes.subarray(length) : undefined;
    return length;
  }

  /** Writes some of these bytes; returns how many. Throws BrokenPipe where the connection is gone. */
  async write(bytes: Uint8Array): Promise<number> {
    if (this.#isClosed) throw new Deno.errors.BrokenPipe();
    const part = bytes.subarray(0, WRITE_BYTES_MAX);
    const { promise, resolve, reject } = this.#writing = Promise.withResolvers<void>();
    this.#tls.write(part, (error) => error ? reject(new Deno.errors.BrokenPipe()) : resolve());
    await promise;
    return part.length;
  }

  /** Says that no more will come; it does not wait until that has left. */
  closeWrite(): Promise<void> {
    this.#tls.end();
    return Promise.resolve();
  }

  /** Closes the socket at once, whether the handshake is over or not. */
  close(): void {
    this.#lose();
  }

  #lose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#tls.destroy();
    this.#socket.close();
    this.#reading?.resolve();
    this.#writing?.reject(new Deno.errors.BrokenPipe());
  }
}

/** The socket as a stream of Node.js. */
function streamOver(socket: Socket): Duplex {
  const buffer = new Uint8Array(READ_BYTES);
  return new Duplex({
    read() {
      socket.read(buffer).then(
        (length) => this.push(length === null ? null : buffer.slice(0, length)),
        (error) => this.destroy(error),
      );
    },
    write(bytes: Uint8Array, _encoding, done) {
      writeAll(socket, bytes).then(() => done(), done);
    },
    final(done) {
      socket.closeWrite().then(() => done(), done);
    },
  });
}

async function writeAll(socket: Socket, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
}
