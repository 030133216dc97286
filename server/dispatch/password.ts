/**
 * The password: where it comes from, and how to compare a guess with it. The start calls
 * `passwordCheck`; AUTH calls the function that it returns.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { readSettingFile } from "../setting_file.ts";
import { type Settings, UsageError } from "../settings.ts";
import { Text } from "../../tables/text.ts";
import { hasControl } from "../input/line.ts";

/** The longest password, in bytes: `AUTH` and it must fit in a line of a client without authority. */
const PASSWORD_BYTES_MAX = 1_000;
const TAB = 0x09;
/** A connection ends after this many wrong passwords. */
export const WRONG_PASSWORDS_MAX = 3;

/**
 * A function that tells whether a guess is the password, in the same time for every guess; undefined where
 * no password is set. Throws UsageError where other machines could reach the server without one.
 */
export function passwordCheck(settings: Settings): ((guess: string) => boolean) | undefined {
  const password = readPassword(settings);
  if (password !== undefined && !canBeSent(password)) {
    throw new UsageError(
      `Cannot use this password: AUTH takes at most ${PASSWORD_BYTES_MAX} bytes and no control ` +
        "characters. Choose another one.",
    );
  }
  if (password?.trim() === "") {
    throw new UsageError(
      "Cannot use this password: it has nothing but spaces. Choose another one.",
    );
  }
  if (password === undefined) {
    if (settings.adminPort !== undefined && isOpenToOthers(settings.adminHost)) {
      throw new UsageError(
        `Cannot open the admin port on ${settings.adminHost} without a password: others could ` +
          "reach it. Set KEYLINE_PASSWORD or --password-file.",
      );
    }
    if (isOpenToOthers(settings.host) && !settings.insecure) {
      throw new UsageError(
        `Cannot listen on ${settings.host} without a password: others could reach it. Set ` +
          "KEYLINE_PASSWORD or --password-file, or allow everybody with --insecure.",
      );
    }
    return undefined;
  }
  // All digests are of one length, and timingSafeEqual compares every byte.
  const digest = digestOf(password);
  return (guess) => timingSafeEqual(digestOf(guess), digest);
}

function readPassword({ password, passwordFile }: Settings): string | undefined {
  if (passwordFile === undefined) return password;
  const text = readSettingFile(passwordFile, `--password-file ${passwordFile}`);
  const [line = ""] = text.split(/\r?\n/);
  if (line === "") throw new UsageError(`--password-file ${passwordFile} has an empty first line.`);
  return line;
}

function canBeSent(password: string): boolean {
  const text = Text.of(password);
  return text.length <= PASSWORD_BYTES_MAX && !hasControl(text, TAB);
}

function isOpenToOthers(host: string): boolean {
  return !/^(127(\.\d+){3}|localhost|::1|\[::1\])$/.test(host);
}

function digestOf(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}
