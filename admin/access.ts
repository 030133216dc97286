/**
 * Who may use the admin port. Programs read it, and so does the browser of somebody whose other tabs may be
 * hostile: every request is checked before anything else is done.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import type { IncomingMessage } from "node:http";
import type { Access } from "../server/command.ts";
import type { WrongPasswords } from "../server/dispatch/wrong_passwords.ts";
import type { Metrics } from "../server/observe/metrics.ts";
import { type HttpResponse, plain } from "./http_response.ts";

/** What to check requests against. */
export interface AccessOptions {
  /** The address that the admin port listens on. */
  readonly host: string;
  /** What counts wrong passwords. */
  readonly metrics: Metrics;
  /**
   * If a password is set: what a guess opens. Nothing can be changed here, so the readers' password
   * suffices.
   */
  readonly accessOf?: (guess: string) => Access | undefined;
  /** The wrong passwords on this port. */
  readonly wrongPasswords: WrongPasswords;
}

/** From so many addresses on, those whose waits are over are forgotten. */
const ADDRESSES_KEPT = 1_000;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** Why a request is refused; undefined if it is not. */
export async function refusalOf(
  { headers, socket }: IncomingMessage,
  { host, accessOf, metrics, wrongPasswords }: AccessOptions,
): Promise<HttpResponse | undefined> {
  const named = headers.host ?? "";
  // Another origin's page may reach this address under its own name (DNS rebinding). It does not know
  // the password, so if one is set, any name will do.
  if (accessOf === undefined && !isOwnName(named, host)) {
    return plain(403, `Ask for this page by its address: "localhost", or the one of --admin-host.`);
  }
  const { origin } = headers;
  if (origin !== undefined && hostOf(origin) !== named) {
    return plain(403, "Requests from another origin are refused.");
  }
  // A link on another site may lead to the page. Other sites may request nothing else.
  if (headers["sec-fetch-site"] === "cross-site" && headers["sec-fetch-mode"] !== "navigate") {
    return plain(403, "Requests from another origin are refused.");
  }
  if (accessOf === undefined) return undefined;
  const guess = passwordIn(headers.authorization);
  if (guess !== undefined) {
    const { remoteAddress = "", remotePort } = socket;
    // Nobody waits for the guesses of others: they are counted by address.
    if (wrongPasswords.isRefused(remoteAddress)) {
      return plain(429, "Too many wrong passwords came from your address: try again later.");
    }
    if (accessOf(guess) !== undefined) return undefined;
    metrics.wrongPasswords.note(`${remoteAddress}:${remotePort}`);
    if (wrongPasswords.size >= ADDRESSES_KEPT) wrongPasswords.sweep();
    const ms = wrongPasswords.count(remoteAddress);
    await delay(ms);
  }
  return plain(401, "The password of the server opens this page, with any name.", {
    "www-authenticate": 'Basic realm="Keyline", charset="UTF-8"',
  });
}

/** The password that a request brings: as HTTP Basic with any name (RFC 7617), or Bearer (RFC 6750). */
function passwordIn(authorization = ""): string | undefined {
  const [, scheme = "", credentials = ""] = /^(\S+) +(.*)$/.exec(authorization) ?? [];
  if (/^bearer$/i.test(scheme)) return credentials;
  if (!/^basic$/i.test(scheme)) return undefined;
  try {
    const bytes = Uint8Array.from(atob(credentials), (char) => char.charCodeAt(0));
    const pair = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return pair.includes(":") ? pair.slice(pair.indexOf(":") + 1) : undefined;
  } catch {
    return undefined;
  }
}

function isOwnName(named: string, own: string): boolean {
  const name = named.replace(/:\d*$/, "").toLowerCase();
  return LOOPBACK.test(name) || name === own.toLowerCase() || name === `[${own.toLowerCase()}]`;
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
