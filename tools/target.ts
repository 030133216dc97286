/**
 * The server that a tool talks to: the flags that name it, the password, and the connection.
 *
 * @module
 */

import process from "node:process";
import {
  type Client,
  connect,
  type ConnectOptions,
  DEFAULT_PORT,
  UnauthorizedError,
} from "../client/client.ts";
import { askHidden } from "./hidden_input.ts";
import { ToolError } from "./program.ts";
import { readFirstLine, readSettingFile } from "../server/settings/setting_file.ts";
import {
  type Flags,
  type Given,
  seconds,
  UsageError,
  wholeNumber,
} from "../server/settings/flags.ts";

/** The flags that name a server. */
export const TARGET_FLAGS = {
  host: { hint: "ADDRESS", preset: "127.0.0.1", help: "name or address of the server" },
  port: { hint: "NUMBER", preset: String(DEFAULT_PORT), help: "its port" },
  password: { help: "ask for the password; or set KEYLINE_PASSWORD", noVariable: true },
  "password-file": { hint: "FILE", help: "file whose first line is the password" },
  tls: { help: "use TLS" },
  ca: { hint: "FILE", help: "certificates to trust (PEM), in place of the system's" },
  timeout: { hint: "SECONDS", preset: "30", help: "how long an answer may take" },
} as const satisfies Flags;

/**
 * The longest reply to accept, in bytes: the longest line that a server can be set to take, and more than
 * a page of the longest keys.
 */
const REPLY_BYTES_MAX = 67_108_864 + 1_024;
const SECONDS = { min: 0.001, max: 86_400 };

/** A server, as `connect` takes it. */
export type Target = ConnectOptions & {
  readonly hostname: string;
  readonly port: number;
  readonly timeout: number;
};

/** Returns the server that flags name. Asks for the password if told to. Throws UsageError. */
export async function targetOf(flags: Given<typeof TARGET_FLAGS>): Promise<Target> {
  const ca = flags.ca && readSettingFile(flags.ca, `--ca ${flags.ca}`);
  if (ca?.includes("BEGIN CERTIFICATE") === false) {
    throw new UsageError(`Cannot use --ca ${flags.ca}: there is no certificate in it, in PEM.`);
  }
  return {
    hostname: flags.host,
    port: wholeNumber("--port", flags.port, { min: 1, max: 65_535 }),
    password: await passwordOf(flags),
    tls: flags.tls || ca !== undefined,
    ca,
    timeout: seconds("--timeout", flags.timeout, SECONDS) * 1_000,
    replyBytesMax: REPLY_BYTES_MAX,
    // The programs themselves bound what they have in flight.
    queueSizeMax: Infinity,
  };
}

/** Connects to a server. Throws ToolError if it refuses the password, and what the client throws. */
export async function reach(target: Target): Promise<Client> {
  try {
    return await connect(target);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    throw new ToolError(`${nameOf(target)} refuses the password: ${error.message}`);
  }
}

/** Connects like `reach`; also throws ToolError if the server wants a password and none was given. */
export async function enter(target: Target): Promise<Client> {
  const db = await reach(target);
  if (!await wantsPassword(db)) return db;
  await db.close();
  throw new ToolError(
    `${
      nameOf(target)
    } wants a password: use --password or --password-file, or set KEYLINE_PASSWORD.`,
  );
}

/** Whether the server requires a password. */
export async function wantsPassword(db: Client): Promise<boolean> {
  return (await db.request("COUNT")).code === 401;
}

/** Returns the name of a server for messages. */
export function nameOf({ hostname, port }: Pick<Target, "hostname" | "port">): string {
  return `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
}

/** Returns the password from the flags or the environment; asks for it if told to. Throws UsageError. */
export async function passwordOf(
  flags: Pick<Given<typeof TARGET_FLAGS>, "password" | "password-file">,
): Promise<string | undefined> {
  const file = flags["password-file"];
  if (flags.password) return await askHidden("Password: ");
  if (file === undefined) return process.env.KEYLINE_PASSWORD || undefined;
  const line = readFirstLine(file, `--password-file ${file}`);
  if (line.trim() !== "") return line;
  throw new UsageError(`--password-file ${file} has an empty first line.`);
}
