/**
 * The server that a program beside it talks to: its flags, its password, and the way there.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import process from "node:process";
import { type Client, connect } from "../client/client.ts";
import { askHidden } from "./hidden_input.ts";
import { type Flags, type Given, UsageError, wholeNumber } from "./usage.ts";

/** The flags that say which server it is. */
export const TARGET_FLAGS = {
  host: { hint: "ADDRESS", preset: "127.0.0.1", help: "address of the server" },
  port: { hint: "NUMBER", preset: "5395", help: "its port" },
  password: { help: "ask for the password; or set KEYLINE_PASSWORD" },
  "password-file": { hint: "FILE", help: "file whose first line is the password" },
  tls: { help: "speak TLS" },
  ca: { hint: "FILE", help: "certificates to trust (PEM), in place of the system's" },
  timeout: { hint: "SECONDS", preset: "30", help: "how long an answer may take" },
} as const satisfies Flags;

/** A server, and how to come in. */
export interface Target {
  /** Its address. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
  /** Its password, if it has one. */
  readonly password: string | undefined;
  /** Whether it speaks TLS. */
  readonly tls: boolean;
  /** The certificates to trust, in PEM. */
  readonly ca: string | undefined;
  /** How long an answer may take, in milliseconds. */
  readonly timeout: number;
}

/** The server that flags name. Asks for the password where it was told to. Throws UsageError. */
export async function targetOf(flags: Given<typeof TARGET_FLAGS>): Promise<Target> {
  const seconds = Number(flags.timeout);
  if (!(seconds >= 0.001 && seconds <= 86_400)) {
    throw new UsageError(`--timeout must be a number of seconds: it is "${flags.timeout}".`);
  }
  const ca = flags.ca === undefined ? undefined : readFile("ca", flags.ca);
  return {
    hostname: flags.host,
    port: wholeNumber("port", { text: flags.port, min: 1, max: 65_535 }),
    password: await passwordOf(flags),
    tls: flags.tls || ca !== undefined,
    ca,
    timeout: seconds * 1_000,
  };
}

/** Connects to it. Throws what the client throws. */
export function reach(target: Target): Promise<Client> {
  return connect(target);
}

/** What to call it in a line for a person. */
export function nameOf({ hostname, port }: Target): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

async function passwordOf(flags: Given<typeof TARGET_FLAGS>): Promise<string | undefined> {
  const file = flags["password-file"];
  if (flags.password) return await askHidden("Password: ");
  if (file === undefined) return process.env.KEYLINE_PASSWORD || undefined;
  const [line = ""] = readFile("password-file", file).split(/\r?\n/);
  if (line === "") throw new UsageError(`--password-file ${file} has an empty first line.`);
  return line;
}

function readFile(flag: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`Cannot read --${flag} ${file}: ${(error as Error).message}`);
  }
}
