/**
 * The options of a client: how it connects and how much it may hold, with the defaults.
 *
 * @module
 */

import type { Pauses } from "./backoff.ts";
import { ArgumentError } from "./errors.ts";
import type { CallOptions } from "./request.ts";

/** What `connect` takes. Every option may be left out. */
export interface ConnectOptions {
  /** Name or address of the server; `127.0.0.1` by default. */
  readonly hostname?: string | undefined;
  /** Its port; 5395 by default. */
  readonly port?: number | undefined;
  /** The password, if the server has one. */
  readonly password?: string | undefined;
  /** Whether to use TLS; true by default if `ca` is given. */
  readonly tls?: boolean | undefined;
  /** Certificates to trust, in PEM, in place of the system's. */
  readonly ca?: string | readonly string[] | undefined;
  /**
   * How long the server may take to accept a connection or to answer a request, in milliseconds;
   * 30,000 by default.
   */
  readonly timeout?: number | undefined;
  /** Whether to reconnect when the connection is lost and there is a request to send; true by default. */
  readonly reconnect?: boolean | undefined;
  /** How many requests may wait for their replies at once; 65,536 by default. */
  readonly queueMax?: number | undefined;
  /** How many characters those requests may have in total; 67,108,864 by default. */
  readonly queueSizeMax?: number | undefined;
  /** The longest reply to accept, in bytes; 16,777,216 by default. */
  readonly replyBytesMax?: number | undefined;
  /** Aborts `connect`; it has no effect once `connect` has returned a client. */
  readonly signal?: AbortSignal | undefined;
}

/** The options of one client, with the defaults filled in. */
export interface ClientSettings {
  /** Name or address of the server. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
  /** The password, if there is one. */
  readonly password: string | undefined;
  /** Whether to use TLS. */
  readonly tls: boolean;
  /** Certificates to trust, in PEM; undefined for the system's. */
  readonly ca: string[] | undefined;
  /** How long the server may take, in milliseconds. */
  readonly timeout: number;
  /** Whether to reconnect. */
  readonly reconnect: boolean;
  /** How many requests may wait. */
  readonly queueMax: number;
  /** How many characters they may have in total. */
  readonly queueSizeMax: number;
  /** The longest reply, in bytes. */
  readonly replyBytesMax: number;
  /** The pauses between connections; tests alone choose others. */
  readonly pauseMs: Pauses;
}

/** The port that Keyline listens on by default: KEYL on a phone's keypad. */
export const DEFAULT_PORT = 5395;

const MIB = 1_048_576;
/** The longest delay of a timer, in milliseconds. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** Fills in the defaults. Throws ArgumentError. */
export function settingsOf(options: ConnectOptions): ClientSettings {
  const { ca, signal } = options;
  if (signal !== undefined && !isSignal(signal)) throw notSignal();
  return {
    hostname: hostnameOf(options.hostname ?? "127.0.0.1"),
    port: portOf(options.port ?? DEFAULT_PORT),
    password: options.password,
    tls: options.tls ?? ca !== undefined,
    ca: ca === undefined ? undefined : certificatesOf(ca),
    timeout: within("timeout", options.timeout ?? 30_000, TIMEOUT_MS_MAX),
    reconnect: options.reconnect ?? true,
    queueMax: within("queueMax", options.queueMax ?? 65_536, Infinity),
    queueSizeMax: within("queueSizeMax", options.queueSizeMax ?? 64 * MIB, Infinity),
    replyBytesMax: within("replyBytesMax", options.replyBytesMax ?? 16 * MIB, Infinity),
    pauseMs: { min: 50, max: 2_000 },
  };
}

/** Returns the error for a timeout that no timer can wait for, or for an invalid signal. */
export function faultOfCall({ timeout, signal }: CallOptions): ArgumentError | undefined {
  if (signal !== undefined && !isSignal(signal)) return notSignal();
  if (timeout === undefined || isWithin(timeout, TIMEOUT_MS_MAX)) return undefined;
  return notWithin("timeout", timeout, TIMEOUT_MS_MAX);
}

/** Whether something has what the client needs of a signal. */
function isSignal(signal: AbortSignal): boolean {
  return typeof signal?.addEventListener === "function";
}

function notSignal(): ArgumentError {
  return new ArgumentError("Cannot use the option signal: it is not an AbortSignal");
}

function within(name: string, value: number, max: number): number {
  if (isWithin(value, max)) return value;
  throw notWithin(name, value, max);
}

function isWithin(value: number, max: number): boolean {
  return typeof value === "number" && value >= 1 && value <= max;
}

function notWithin(name: string, value: number, max: number): ArgumentError {
  const what = `${String(value)} is not a number from 1 to ${max}`;
  return new ArgumentError(`Cannot use the option ${name}: ${what}`);
}

function hostnameOf(hostname: string): string {
  if (typeof hostname === "string" && hostname !== "") return hostname;
  throw new ArgumentError("Cannot use the option hostname: it is not a name or an address");
}

function certificatesOf(ca: string | readonly string[]): string[] {
  const certificates = typeof ca === "string" ? [ca] : ca;
  if (Array.isArray(certificates) && certificates.every((one) => typeof one === "string")) {
    return [...certificates];
  }
  throw new ArgumentError("Cannot use the option ca: it is not a string or an array of strings");
}

/** Returns a port as it is. Throws ArgumentError if it is invalid. */
function portOf(port: number): number {
  if (Number.isInteger(port)) return within("port", port, 65_535);
  throw new ArgumentError(`Cannot use the option port: ${String(port)} is not a whole number`);
}
