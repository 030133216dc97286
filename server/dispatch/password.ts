/**
 * The passwords: where they are read from, and what a guess opens. They are read at the start, and those in
 * files again on SIGHUP; AUTH and the admin port check guesses.
 *
 * @module
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { Access } from "../command.ts";
import { readFirstLine } from "../settings/setting_file.ts";
import { type Settings, UsageError } from "../settings/settings.ts";
import { Text } from "../../tables/text.ts";
import { hasControl } from "../input/line.ts";

/** The longest password, in bytes: `AUTH` and it must fit in a line of a client without authority. */
const PASSWORD_BYTES_MAX = 1_000;
const TAB = 0x09;
/** A connection ends after this many wrong passwords. */
export const WRONG_PASSWORDS_MAX = 3;

/** The settings that say where the passwords are, and who could reach a server without one. */
type PasswordSettings = Pick<
  Settings,
  | "password"
  | "passwordFile"
  | "readerPasswordFile"
  | "host"
  | "insecure"
  | "adminPort"
  | "adminHost"
>;

/** A password as it is kept: its digest, and what it opens. */
interface StoredPassword {
  readonly digest: Uint8Array;
  readonly access: Access;
}

/** The passwords of a server. */
export class Passwords {
  readonly #settings: PasswordSettings;
  #stored: readonly StoredPassword[];

  private constructor(settings: PasswordSettings, stored: readonly StoredPassword[]) {
    this.#settings = settings;
    this.#stored = stored;
  }

  /**
   * The passwords that these settings name; undefined if they name none. Throws UsageError for a password
   * that can't be used, and if other machines could reach the server without one.
   */
  static of(settings: PasswordSettings): Passwords | undefined {
    const stored = readPasswords(settings);
    if (stored.length > 0) return new Passwords(settings, stored);
    checkOpenness(settings);
    return undefined;
  }

  /** What a guess opens; undefined if it is wrong. Takes the same time for every guess. */
  accessOf(guess: string): Access | undefined {
    // All digests are of one length, and timingSafeEqual compares every byte.
    const digest = digestOf(guess);
    const right = this.#stored.filter((stored) => timingSafeEqual(digest, stored.digest));
    return right[0]?.access;
  }

  /** The files to read again, for the log. */
  get files(): Readonly<Record<string, string>> {
    const { passwordFile, readerPasswordFile } = this.#settings;
    return {
      ...passwordFile !== undefined && { file: passwordFile },
      ...readerPasswordFile !== undefined && { reader_file: readerPasswordFile },
    };
  }

  /** Whether there are files to read again. */
  get areInFiles(): boolean {
    return Object.keys(this.files).length > 0;
  }

  /**
   * Reads the files again; connected clients keep their rights. Throws UsageError, and then changes
   * nothing.
   */
  readAgain(): void {
    this.#stored = readPasswords(this.#settings);
  }
}

function readPasswords(
  { password, passwordFile, readerPasswordFile }: PasswordSettings,
): StoredPassword[] {
  const all = passwordFile === undefined
    ? password || undefined
    : readPassword("--password-file", passwordFile);
  const reader = readerPasswordFile === undefined
    ? undefined
    : readPassword("--reader-password-file", readerPasswordFile);
  if (reader !== undefined && all === undefined) {
    throw new UsageError(
      "--reader-password-file needs a password for those who change the table: set " +
        "KEYLINE_PASSWORD or --password-file.",
    );
  }
  if (reader !== undefined && reader === all) {
    throw new UsageError("The password of readers opens everything: choose two that differ.");
  }
  return [
    ...all === undefined ? [] : [storedPassword(all, "all")],
    ...reader === undefined ? [] : [storedPassword(reader, "read")],
  ];
}

function storedPassword(password: string, access: Access): StoredPassword {
  if (!canBeSent(password)) {
    throw new UsageError(
      `Cannot use this password: AUTH takes at most ${PASSWORD_BYTES_MAX} bytes and no control ` +
        "characters. Choose another one.",
    );
  }
  if (password.trim() === "") {
    throw new UsageError(
      "Cannot use this password: it has nothing but spaces. Choose another one.",
    );
  }
  return { digest: digestOf(password), access };
}

function readPassword(option: string, file: string): string {
  const line = readFirstLine(file, `${option} ${file}`);
  if (line === "") throw new UsageError(`${option} ${file} has an empty first line.`);
  return line;
}

/** Throws UsageError if other machines could reach a server that has no password. */
function checkOpenness({ host, insecure, adminPort, adminHost }: PasswordSettings): void {
  if (adminPort !== undefined && isOpenToOthers(adminHost)) {
    throw new UsageError(
      `Cannot open the admin port on ${adminHost} without a password: others could ` +
        "reach it. Set KEYLINE_PASSWORD or --password-file.",
    );
  }
  if (isOpenToOthers(host) && !insecure) {
    throw new UsageError(
      `Cannot listen on ${host} without a password: others could reach it. Set ` +
        "KEYLINE_PASSWORD or --password-file, or allow everybody with --insecure.",
    );
  }
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
