/**
 * A node that speaks gRPC and does what a test says with each call: answers, hangs, resets, hangs up.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";

/** A call that has come in. */
export interface FakeCall {
  readonly headers: http2.IncomingHttpHeaders;
  readonly stream: http2.ServerHttp2Stream;
}

/** The node. Use it with `await using`, which ends it. */
export class FakeEtcd implements AsyncDisposable {
  readonly #server: http2.Http2Server;
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  /** The calls that have come in. */
  readonly calls: FakeCall[] = [];
  /** How many connections there have been. */
  connections = 0;

  private constructor(server: http2.Http2Server) {
    this.#server = server;
  }

  /** Starts one that does this with each call once all of it has come in. */
  static async start(
    answer: (call: FakeCall) => void,
    { port = 0 }: { port?: number } = {},
  ): Promise<FakeEtcd> {
    const server = http2.createServer();
    const node = new FakeEtcd(server);
    server.on("session", (session) => {
      node.connections++;
      node.#sessions.add(session);
      session.on("error", () => {}); // A client may leave as it likes.
    });
    server.on("stream", (stream, headers) => {
      stream.on("error", () => {});
      stream.on("end", () => {
        const call = { headers, stream: stream as http2.ServerHttp2Stream };
        node.calls.push(call);
        answer(call);
      });
      stream.resume();
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    return node;
  }

  /** As in `127.0.0.1:2379`. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Answers a call with a message and a status. */
export function reply(
  { stream }: FakeCall,
  message: Uint8Array,
  status: Record<string, string> = { "grpc-status": "0" },
): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(status));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  stream.end(Buffer.concat([head, message]));
}

/** Answers a call with an error. */
export function refuse({ stream }: FakeCall, status: number, message: string): void {
  stream.respond({
    ":status": 200,
    "content-type": "application/grpc",
    "grpc-status": String(status),
    "grpc-message": message,
  }, { endStream: true });
}
