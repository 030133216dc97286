/**
 * Calls to one node, over `@grpc/grpc-js`. This file adds what a commit has to know about a failed call,
 * namely whether the node may have received it, and reconnects to a silent node. `cluster.ts` picks the node.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import {
  type ChannelCredentials,
  Client,
  type ClientOptions,
  credentials,
  logVerbosity,
  Metadata,
  setLogVerbosity,
  status,
} from "npm:@grpc/grpc-js@1.14.7";

/** A method that a node offers. */
export interface Method<Request, Reply> {
  /** Its name, as in `/etcdserverpb.KV/Txn`. */
  readonly path: string;
  /** Writes a request. */
  encode(request: Request): Uint8Array;
  /** Reads a reply. */
  decode(message: Uint8Array<ArrayBuffer>): Reply;
}

/** The files' contents for TLS, in PEM. */
export interface TlsOptions {
  /** The authority that signs the nodes' certificates; the system's authorities by default. */
  readonly ca?: string;
  /** The client certificate. */
  readonly cert?: string;
  /** The key of that certificate. */
  readonly key?: string;
}

/** How to make a call. */
export interface CallOptions {
  /** How long to wait before giving up, in milliseconds. */
  readonly timeout: number;
  /** The token that authenticates us. */
  readonly token?: string | undefined;
}

/** A call that failed. */
export class CallError extends Error {
  /** The status code of gRPC. */
  readonly status: number;
  /** Whether the node may have received the call; false if it certainly has not. */
  readonly isSent: boolean;

  /** Takes the message of the node or of the library. */
  constructor(message: string, { status, isSent }: { status: number; isSent: boolean }) {
    super(message);
    this.status = status;
    this.isSent = isSent;
  }
}

const OPTIONS: ClientOptions = {
  // Only the sender of a commit knows whether it may be sent again.
  "grpc.enable_retries": 0,
  // A node that is back should be found soon; by default, the library waits for a second, then for up
  // to two minutes.
  "grpc.initial_reconnect_backoff_ms": 100,
  "grpc.max_reconnect_backoff_ms": 1_000,
  "grpc.dns_min_time_between_resolutions_ms": 1_000,
  // A read of many large values is a large message.
  "grpc.max_receive_message_length": -1,
  // How much a node may send ahead of us, in bytes.
  "grpc-node.flow_control_window": 4_194_304,
  // A new client makes a new connection instead of sharing that of the one that it replaces.
  "grpc.use_local_subchannel_pool": 1,
  // The location and the options in this file are complete; nothing comes from the environment or from
  // DNS records.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
  "grpc.enable_channelz": 0,
};

/** The name in the TLS handshake with a node that has none. */
const NO_NAME = "etcd.invalid";

// Failures are errors of calls, which the caller reports.
setLogVerbosity(logVerbosity.NONE);

/** One node. It connects when it is first called, and again after the connection has failed. */
export class Node {
  /** As in `10.0.0.1:2379`. */
  readonly address: string;
  readonly #credentials: ChannelCredentials;
  readonly #options: ClientOptions;
  #client: Client | undefined;
  /** When the node last began an answer, by `performance.now`. */
  #heardAt = 0;

  /** Takes a node's address, and `tls` if it speaks TLS. */
  constructor(address: string, tls?: TlsOptions) {
    this.address = address;
    const host = address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
    // An address is not allowed as the name in the handshake (RFC 6066, section 3), but the library
    // would put it there.
    const isNamed = isIP(host) === 0;
    this.#options = isNamed ? OPTIONS : { ...OPTIONS, "grpc.ssl_target_name_override": NO_NAME };
    this.#credentials = tls === undefined
      ? credentials.createInsecure()
      : credentials.createSsl(pemOf(tls.ca), pemOf(tls.key), pemOf(tls.cert), {
        checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate),
      });
  }

  /** Calls a method and returns its reply. Throws CallError. */
  call<Request, Reply>(
    { path, encode, decode }: Method<Request, Reply>,
    request: Request,
    { timeout, token }: CallOptions,
  ): Promise<Reply> {
    const client = this.#client ??= new Client(
      `dns:${this.address}`,
      this.#credentials,
      this.#options,
    );
    const metadata = new Metadata();
    // A node without a leader says so at once.
    metadata.set("hasleader", "true");
    if (token !== undefined) metadata.set("token", token);
    const startedAt = performance.now();
    return new Promise((resolve, reject) => {
      const call = client.makeUnaryRequest(
        path,
        (message: Request) => Buffer.from(encode(message)),
        (message) => decode(new Uint8Array(message)),
        request,
        metadata,
        { deadline: Date.now() + timeout },
        (error, reply) => {
          if (error === null) return resolve(reply!);
          const { code, details } = error;
          if (code === status.DEADLINE_EXCEEDED && this.#heardAt < startedAt) this.#drop(client);
          // The peer is the target until the call has been given to a connection.
          const isSent = call.getPeer() !== client.getChannel().getTarget();
          reject(new CallError(details, { status: code, isSent }));
        },
      );
      call.on("metadata", () => this.#heardAt = performance.now());
    });
  }

  /** Ends the connection. */
  close(): void {
    if (this.#client !== undefined) this.#drop(this.#client);
  }

  /** Makes the next call reconnect: a node that was silent during a whole call may be gone. */
  #drop(client: Client): void {
    if (this.#client === client) this.#client = undefined;
    client.close();
  }
}

function pemOf(text: string | undefined): Buffer | null {
  return text === undefined ? null : Buffer.from(text);
}
