/**
 * Turns replies into the results of the client's methods.
 *
 * @module
 */

import { errorOf, ProtocolError } from "./errors.ts";
import type { Reply } from "./reply_reader.ts";
import type { Decoder } from "./request.ts";

/** A value together with the version that `cas` compares. */
export interface Versioned {
  /** The value. */
  readonly value: string;
  /** The version of the key that holds it. */
  readonly version: bigint;
}

/** The outcome of a `cas`: the new version, or why nothing was stored. */
export type CasResult =
  | { readonly outcome: "stored"; readonly version: bigint }
  | { readonly outcome: "changed" }
  | { readonly outcome: "missing" };

/** GET: the value, or undefined if there is none. */
export const value: Decoder<string | undefined> = {
  ok: (value) => value || misfit("without a value"),
  reply: undefinedWhereMissing,
};

/** GETS: the version and the value, or undefined if there is none. */
export const versioned: Decoder<Versioned | undefined> = {
  ok(text = "") {
    const space = text.indexOf(" ");
    if (space < 0 || space === text.length - 1) misfit("without a value");
    return { version: bigintOf(text.slice(0, space)), value: text.slice(space + 1) };
  },
  reply: undefinedWhereMissing,
};

/** TTL: the seconds that a key has left. */
export const seconds: Decoder<number | undefined> = {
  ok: (text = "") => text === "none" ? Infinity : numberOf(text, /^\d{1,15}(\.\d{1,9})?$/),
  reply: undefinedWhereMissing,
};

/** CAS: the new version, or why nothing was stored. */
export const cas: Decoder<CasResult> = {
  ok: (text = "") => ({ outcome: "stored", version: bigintOf(text) }),
  reply({ code, text }) {
    if (code === 404) return { outcome: "missing" };
    if (code === 409) return { outcome: "changed" };
    throw errorOf(code, text);
  },
};

/** An operation that answers `200 OK` alone. */
export const nothing: Decoder<void> = { ok() {} };

/** A whole number that a double can hold. */
export const count: Decoder<number> = { ok: (text = "") => numberOf(text, /^\d{1,15}$/) };

/** A 64-bit integer. */
export const integer: Decoder<bigint> = { ok: (text = "") => bigintOf(text) };

/** True, or false for a 409. */
export const unlessConflict: Decoder<boolean> = {
  ok: () => true,
  reply: ({ code, text }) => code === 409 ? false : fail(code, text),
};

/** True, or false for a 404. */
export const unlessMissing: Decoder<boolean> = {
  ok: () => true,
  reply: ({ code, text }) => code === 404 ? false : fail(code, text),
};

/** The reply, whatever its code. */
export const asItIs: Decoder<Reply> = {
  ok: (value) => ({ code: 200, text: value === undefined ? "OK" : `OK ${value}`, lines: [] }),
  reply: (reply) => reply,
};

/** Returns the statistics of STATS by name. Throws ReplyError. */
export function stats({ code, text, lines }: Reply): Map<string, string> {
  if (code !== 200) throw errorOf(code, text);
  return new Map(lines.map((line) => {
    const space = line.indexOf(" ");
    if (space < 1) misfit("with a line that is no statistic");
    return [line.slice(0, space), line.slice(space + 1)];
  }));
}

function undefinedWhereMissing({ code, text }: Reply): undefined {
  return code === 404 ? undefined : fail(code, text);
}

function fail(code: number, text: string): never {
  throw errorOf(code, text);
}

function numberOf(text: string, form: RegExp): number {
  return form.test(text) ? Number(text) : misfit("without a number");
}

function bigintOf(text: string): bigint {
  return /^-?\d{1,20}$/.test(text) ? BigInt(text) : misfit("without a whole number");
}

/** Throws a ProtocolError. Its request says whether a change may have taken effect. */
export function misfit(what: string): never {
  const message = `The server sent a reply ${what}: is it Keyline?`;
  throw new ProtocolError(message, { mayHaveHappened: false });
}
