/**
 * How a client is to connect and what it may hold, with what each option is by default.
 *
 * @module
 */

import { ArgumentError } from "./errors.ts";

/** What `connect` takes; all of it may be left out. */
export interface ConnectOptions {
  /** The name or the address of the server; `127.0.0.1` by default. */
  readonly hostname?: string | undefined;
  /** Its port; 5395 by default. */
  readonly port?: number | undefined;
  /** The password, where the server has one. */
  readonly password?: string | undefined;
  /** Whether to speak TLS; true by default where `ca` is given. */
  readonly tls?: boolean | undefined;
  /** The certificates to trust, in PEM, instead of those that the system trusts. */
  readonly ca?: string | readonly string[] | undefined;
  /**
   * How long, in milliseconds, the server may take to accept a connection or to answer a request;
   * 30,000 by default.
   */
  readonly timeout?: number | undefined;
  /** Whether to connect again when the connection is lost and there is something to ask; true by default. */
  readonly reconnect?: boolean | undefined;
  /** How many requests may wait for their replies at a time; 65,536 by default. */
  readonly queueMax?: number | undefined;
  /** How many characters of requests may wait for their replies; 64 MiB by default. */
  readonly queueSizeMax?: number | undefined;
  /** The longest reply to take from the server, in bytes; 16 MiB by default. */
  readonly replyBytesMax?: number | undefined;
  /** Gives up connecting; of no meaning once `connect` has returned a client. */
  readonly signal?: AbortSignal | undefined;
}

/** The options of one client, none missing. */
export interface ClientSettings {
  /** The name or the address of the server. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
  /** The password, if there is one. */
  readonly password: string | undefined;
  /** Whether to speak TLS. */
  readonly tls: boolean;
  /** The certificates to trust, in PEM; undefined for those of the system. */
  readonly ca: string[] | undefined;
  /** How long the server may take, in milliseconds. */
  readonly timeout: number;
  /** Whether to connect again. */
  readonly reconnect: boolean;
  /** How many requests may wait. */
  readonly queueMax: number;
  /** How many characters of them. */
  readonly queueSizeMax: number;
  /** The longest reply, in bytes. */
  readonly replyBytesMax: number;
}

/** The port that Keyline listens on by default: KEYL on the keys of a phone. */
export const DEFAULT_PORT = 5395;

const MIB = 1_048_576;
/** The longest time that a timer can wait, in milliseconds. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** The options with their defaults filled in. Throws ArgumentError. */
export function settingsOf(options: ConnectOptions): ClientSettings {
  const { ca } = options;
  return {
    hostname: options.hostname ?? "127.0.0.1",
    port: within("port", options.port ?? DEFAULT_PORT, 65_535),
    password: options.password,
    tls: options.tls ?? ca !== undefined,
    ca: ca === undefined ? undefined : typeof ca === "string" ? [ca] : [...ca],
    timeout: within("timeout", options.timeout ?? 30_000, TIMEOUT_MS_MAX),
    reconnect: options.reconnect ?? true,
    queueMax: within("queueMax", options.queueMax ?? 65_536, Infinity),
    queueSizeMax: within("queueSizeMax", options.queueSizeMax ?? 64 * MIB, Infinity),
    replyBytesMax: within("replyBytesMax", options.replyBytesMax ?? 16 * MIB, Infinity),
  };
}

function within(name: string, value: number, max: number): number {
  if (value >= 1 && value <= max) return value;
  throw new ArgumentError(`Cannot use the option ${name}: ${value} is not from 1 to ${max}`);
}
