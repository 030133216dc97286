/**
 * The password of a server: where it comes from, and how a guess is compared with it. `main.ts` calls
 * `passwordCheck` at the start; AUTH calls what it returns.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import { type Settings, UsageError } from "./options.ts";
import { Text } from "../tables/text.ts";
import { hasControl } from "./request.ts";

/** The longest password: with AUTH before it, it fits in the lines that come before the password. */
const PASSWORD_BYTES_MAX = 1_000;
const TAB = 0x09;
/** After this many wrong passwords a connection ends. */
export const WRONG_PASSWORDS_MAX = 3;

/**
 * What tells the password from a wrong one, in the same time for each; undefined where none is set.
 * Throws UsageError where the server would be open to others without one.
 */
export function passwordCheck(settings: Settings): ((guess: string) => boolean) | undefined {
  const password = readPassword(settings);
  if (password !== undefined && !canBeSent(password)) {
    throw new UsageError(
      `The password can't be given with AUTH: it must have at most ${PASSWORD_BYTES_MAX} bytes and no ` +
        "control character. Set another one.",
    );
  }
  if (password === undefined) {
    if (isOpenToOthers(settings.host) && !settings.insecure) {
      throw new UsageError(
        `Cannot listen on ${settings.host} without a password: others could reach it. Set ` +
          "KEYLINE_PASSWORD or --password-file, or allow everybody with --insecure.",
      );
    }
    return undefined;
  }
  // Digests have one length, whatever the guess has, and timingSafeEqual looks at all of it.
  const digest = digestOf(password);
  return (guess) => timingSafeEqual(digestOf(guess), digest);
}

function readPassword({ password, passwordFile }: Settings): string | undefined {
  if (passwordFile === undefined) return password === "" ? undefined : password;
  let text: string;
  try {
    text = Deno.readTextFileSync(passwordFile);
  } catch (error) {
    throw new UsageError(
      `Cannot read --password-file ${passwordFile}: ${(error as Error).message}`,
    );
  }
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
