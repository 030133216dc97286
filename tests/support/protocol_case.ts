/**
 * A case of the protocol: what a client sends, and what it receives. The files of `tests/commands/` and
 * `tests/protocol/` list cases, and can be read as documentation; `protocol_suite.ts` runs them.
 *
 * @module
 */

/** One case. It starts with an empty table and a new connection. */
export interface ProtocolCase {
  /** The behaviour that it shows. */
  readonly name: string;
  /**
   * A list is a dialogue: each line is sent, with CR LF, once the one before it has been answered. Text
   * and bytes go out as they are, in one piece, and then the client closes its side. `<version>` in a
   * line stands for the version that the server named last.
   */
  readonly send: readonly string[] | string | Uint8Array<ArrayBuffer>;
  /**
   * The lines of all replies, without their CR LF. `<version>`, `<number>` and `<text>` stand for what
   * can't be foretold, `…` for any number of lines.
   */
  readonly expect: readonly string[];
  /** Set where the server closes the connection by itself. */
  readonly ends?: true;
  /** Set where its client must be the only one of its server: it is played in memory alone. */
  readonly isAlone?: true;
  /** The server that it needs, where that is not the plain one. */
  readonly server?: ServerName;
}

/** How a server differs from one that is started without options. */
export interface ServerSettings {
  readonly lineBytesMax?: number;
  readonly password?: string;
}

/** The name of one of `SERVERS`. */
export type ServerName = "plain" | "short lines" | "password";

/** The servers that cases may ask for. */
export const SERVERS: Readonly<Record<ServerName, ServerSettings>> = {
  plain: {},
  "short lines": { lineBytesMax: 64 },
  password: { password: "open sesame " },
};

const utf8 = new TextEncoder();

/** Text as UTF-8, and single bytes, in this order. */
export function bytes(...parts: (string | number)[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    parts.flatMap((part) => typeof part === "string" ? [...utf8.encode(part)] : [part]),
  );
}

/** The same reply a number of times, for the `expect` of a case. */
export function times(count: number, reply: string): string[] {
  return Array<string>(count).fill(reply);
}

/** What a case sends, as one piece: for tests that need no replies between its lines. */
export function bytesOf({ send }: Pick<ProtocolCase, "send">): Uint8Array<ArrayBuffer> {
  if (send instanceof Uint8Array) return send;
  return utf8.encode(typeof send === "string" ? send : send.map((line) => `${line}\r\n`).join(""));
}
