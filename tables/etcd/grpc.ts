/**
 * Unary gRPC calls to one node, over the HTTP/2 that Deno brings (`node:http2`). Keyline calls two
 * methods of one service, so this file stands in for a gRPC library and its two dozen packages: a call
 * is one stream, with a head of five bytes before its message and its status in the trailers
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). `cluster.ts` picks the node.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import http2 from "node:http2";

/** The files' contents for TLS, in PEM. */
export interface TlsOptions {
  /** Who signs the nodes' certificates; the system's authorities where it is left out. */
  readonly ca?: string;
  /** The certificate that we show. */
  readonly cert?: string;
  /** The key of that certificate. */
  readonly key?: string;
}

/** How to make a call. */
export interface CallOptions {
  /** After how long to give up, in milliseconds. */
  readonly timeout: number;
  /** What proves who we are. */
  readonly token?: string | undefined;
}

/** Status codes of gRPC, as far as they matter here. */
export const Status = {
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

/** A call that failed. */
export class CallError extends Error {
  /** The status code of gRPC. */
  readonly status: number;
  /** Whether the node may have got the call; false: it certainly has not. */
  readonly isSent: boolean;

  /** Takes what happened, in words of the node or ours. */
  constructor(message: string, { status, isSent }: { status: number; isSent: boolean }) {
    super(message);
    this.status = status;
    this.isSent = isSent;
  }
}

const HEAD_BYTES = 5;
/** How much a node may send ahead on one stream, and on all, in bytes. */
const WINDOW_BYTES = 4_194_304;

/** One node. It connects when it is first called, and again after the connection has failed. */
export class Node {
  /** As in `10.0.0.1:2379`. */
  readonly address: string;
  readonly #tls: TlsOptions | undefined;
  #link: Link | undefined;
  /** When the node last sent anything, by `performance.now`. */
  #heardAt = 0;

  /** Names a node; `tls` where it speaks TLS. */
  constructor(address: string, tls?: TlsOptions) {
    this.address = address;
    this.#tls = tls;
  }

  /** Sends a message and returns the answer. Throws CallError. */
  call(
    path: string,
    message: Uint8Array,
    { timeout, token }: CallOptions,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const startedAt = performance.now();
    return new Promise((resolve, reject) => {
      const link = this.#connect();
      const fail = (what: string, status: number, isSent: boolean) => {
        clearTimeout(timer);
        reject(new CallError(what, { status, isSent }));
      };
      const timer = setTimeout(() => {
        fail("it does not answer", Status.DEADLINE_EXCEEDED, link.isConnected);
        stream.close(http2.constants.NGHTTP2_CANCEL);
        // A node that has said nothing all the while may be gone: the next call connects anew.
        if (this.#heardAt < startedAt) this.#drop(link);
      }, timeout);
      const stream = link.session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        "te": "trailers",
        "grpc-timeout": `${Math.ceil(timeout)}m`,
        // A node without a leader says so at once.
        "hasleader": "true",
        ...(token !== undefined && { token }),
      });
      let status: number | undefined;
      let text = "";
      const parts: Buffer[] = [];
      const readStatus = (headers: http2.IncomingHttpHeaders) => {
        this.#heardAt = performance.now();
        if (headers["grpc-status"] === undefined) return;
        status = Number(headers["grpc-status"]);
        text = String(headers["grpc-message"] ?? "");
      };
      stream.on("response", readStatus);
      stream.on("trailers", readStatus);
      stream.on("data", (part: Buffer) => parts.push(part));
      stream.on("error", (error) => fail(error.message, Status.UNAVAILABLE, link.isConnected));
      stream.on("close", () => {
        if (status === undefined) fail("it hung up", Status.UNAVAILABLE, link.isConnected);
        else if (status !== 0) fail(text, status, true);
        else {
          clearTimeout(timer);
          resolve(bodyOf(parts));
        }
      });
      stream.end(framed(message));
    });
  }

  /** Ends the connection. */
  close(): void {
    if (this.#link !== undefined) this.#drop(this.#link);
  }

  #connect(): Link {
    if (this.#link !== undefined) return this.#link;
    const scheme = this.#tls === undefined ? "http" : "https";
    const session = http2.connect(`${scheme}://${this.address}`, {
      ...this.#tls,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    const link: Link = { session, isConnected: false };
    this.#link = link;
    session.on("connect", () => {
      link.isConnected = true;
      session.setLocalWindowSize(WINDOW_BYTES);
    });
    for (const end of ["error", "goaway", "close"]) session.on(end, () => this.#drop(link));
    return link;
  }

  #drop(link: Link): void {
    if (this.#link === link) this.#link = undefined;
    if (!link.session.destroyed) link.session.destroy();
  }
}

/** A connection to a node. */
interface Link {
  readonly session: http2.ClientHttp2Session;
  isConnected: boolean;
}

/** A message behind its head: not compressed, and so long. */
function framed(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEAD_BYTES + message.length);
  new DataView(frame.buffer).setUint32(1, message.length);
  frame.set(message, HEAD_BYTES);
  return frame;
}

function bodyOf(parts: readonly Buffer[]): Uint8Array<ArrayBuffer> {
  // A copy, so that views of it hold for as long as anybody wants.
  return new Uint8Array(Buffer.concat(parts)).subarray(HEAD_BYTES);
}
