/**
 * TLS over an accepted socket. With TLS, the listener wraps each socket; the connection reads and writes as
 * it does without.
 *
 * Deno's own TLS listener can close a client only after its handshake, so a silent client would keep its
 * descriptor. Here the handshake runs over a plain socket, which can be closed at any time. It uses
 * `node:tls`, because `Deno.startTls` is for clients only.
 *
 * @module
 */

import { Duplex } from "node:stream";
import { createSecureContext, type SecureContext, TLSSocket } from "node:tls";
import { readSettingFile } from "../settings/setting_file.ts";
import type { Settings } from "../settings/settings.ts";
import type { TimeSlice } from "../time_slice.ts";
import type { Socket } from "./socket.ts";

/** A certificate and its key, both in PEM. */
export interface Certificate {
  /** The certificate, followed by its chain. */
  readonly cert: string;
  /** Its private key. */
  readonly key: string;
}

/** The certificate that the settings name; undefined without TLS. Throws UsageError. */
export function readCertificate(
  { tlsCert, tlsKey }: Pick<Settings, "tlsCert" | "tlsKey">,
): Certificate | undefined {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  return { cert: readSettingFile(tlsCert), key: readSettingFile(tlsKey) };
}

/** How many bytes to read at a time. Small, because each client holds a buffer, and most are idle. */
const READ_BYTES = 4_096;
/** How many bytes to write at a time, so that a slow client shows progress. */
const WRITE_BYTES_MAX = 65_536;

/** What to wrap sockets with. Throws if certificate and key are not a matching pair in PEM. */
export function contextOf({ cert, key }: Certificate): SecureContext {
  // Deno checks a certificate only when it listens.
  Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key }).close();
  return createSecureContext({ cert, key });
}

/** The server's end of TLS. The handshake takes place during the first read. */
export class TlsSocket implements Socket {
  readonly #socket: Socket;
  readonly #tls: TLSSocket;
  /** Whether the client has yet to finish the handshake. */
  isHandshaking = true;
  #unread: Uint8Array | undefined;
  #hasEnded = false;
  #isClosed = false;
  /** The read and the write that are under way. */
  #reading: PromiseWithResolvers<void> | undefined;
  #writing: PromiseWithResolvers<void> | undefined;

  /** Takes over an accepted socket; decryption counts against this time slice. */
  constructor(socket: Socket, secureContext: SecureContext, slice: TimeSlice) {
    this.#socket = socket;
    const stream = streamOver(socket, slice).on("error", () => this.#lose()).on(
      "close",
      () => this.#lose(),
    );
    // Its type asks for a socket of node:net, but any stream will do.
    this.#tls = new TLSSocket(stream as never, { isServer: true, secureContext });
    this.#tls.on("secure", () => this.isHandshaking = false);
    this.#tls.on("readable", () => this.#reading?.resolve());
    this.#tls.on("end", () => {
      this.#hasEnded = true;
      this.#reading?.resolve();
    });
    this.#tls.on("error", () => this.#lose()).on("close", () => this.#lose());
  }

  /** Where the client is. */
  get remoteAddr(): Deno.Addr {
    return this.#socket.remoteAddr;
  }

  /** Reads some bytes; null at the end of the stream. Throws Interrupted if the connection has been lost. */
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

  /** Writes some of these bytes; returns how many. Throws BrokenPipe if the connection has been lost. */
  async write(bytes: Uint8Array): Promise<number> {
    if (this.#isClosed) throw new Deno.errors.BrokenPipe();
    const part = bytes.subarray(0, WRITE_BYTES_MAX);
    const { promise, resolve, reject } = this.#writing = Promise.withResolvers<void>();
    this.#tls.write(part, (error) => error ? reject(new Deno.errors.BrokenPipe()) : resolve());
    await promise;
    return part.length;
  }

  /** Ends the outgoing stream without waiting for the client. */
  closeWrite(): Promise<void> {
    this.#tls.end();
    return Promise.resolve();
  }

  /** Closes the socket at once, even during the handshake. */
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

/** The socket as a Node.js stream. */
function streamOver(socket: Socket, slice: TimeSlice): Duplex {
  const buffer = new Uint8Array(READ_BYTES);
  return new Duplex({
    read() {
      readIn(slice, { socket, buffer }).then(
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

/** Reads, and waits if the time slice is used up: records may be empty, so that no other code would. */
async function readIn(
  slice: TimeSlice,
  { socket, buffer }: { socket: Socket; buffer: Uint8Array },
): Promise<number | null> {
  const length = await socket.read(buffer);
  slice.count();
  if (slice.isFull) await slice.next();
  return length;
}

async function writeAll(socket: Socket, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
}
