/**
 * The least that a server on `Deno.listen` can do: it reads, finds the ends of lines, and always writes the
 * same reply to each. No stream splits the lines, and nothing is stored. It shows what Deno allows; the gap
 * to Keyline is the price of everything else. Started by peers.ts with a port, the length of a value and, in
 * durable mode, a file.
 *
 * @module
 */

import { Buffer } from "node:buffer";

const [port, valueBytes] = Deno.args.map(Number);
const path = Deno.args[2];
const utf8 = new TextEncoder();
const [GET, PUT] = [0x47, 0x50]; // the first letters of the verbs that the load generator sends
const REPLIES = new Map([
  [GET, utf8.encode(`200 OK ${"v".repeat(valueBytes!)}\r\n`)],
  [PUT, utf8.encode("200 OK\r\n")],
]);
const OTHER = utf8.encode("404 NOT FOUND\r\n");
/** Buffers are as large as packets and replies have been: thousands of clients must fit in the caches. */
const [PACKET_BYTES_MIN, PACKET_BYTES_MAX] = [1_024, 131_072];

/** The least of a log: one write and one sync for all packets with a PUT in a turn of the event loop. */
class Log {
  readonly #file: Deno.FsFile;
  readonly #room = new Uint8Array(16_777_216);
  #written = 0;
  #gathered = 0;
  #turn: Promise<void> | undefined;

  constructor(path: string) {
    this.#file = Deno.openSync(path, { write: true, create: true });
    this.#write(this.#room); // Preallocated, as Keyline's.
    this.#file.syncSync();
  }

  /** Resolves when these bytes, and those of others who call in the same turn, are on the disk. */
  add(bytes: Uint8Array): Promise<void> {
    this.#room.set(bytes, this.#gathered);
    this.#gathered += bytes.length;
    return this.#turn ??= Promise.resolve().then(() => this.#commit());
  }

  #commit(): void {
    this.#turn = undefined;
    if (this.#gathered === 0) return;
    if (this.#written + this.#gathered > this.#room.length) {
      this.#file.seekSync(0, Deno.SeekMode.Start);
      this.#written = 0;
    }
    this.#write(this.#room.subarray(0, this.#gathered));
    this.#written += this.#gathered;
    this.#gathered = 0;
    this.#file.syncDataSync();
  }

  #write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += this.#file.writeSync(bytes.subarray(at));
  }
}

const log = path === undefined ? undefined : new Log(path);
const NOTHING = new Uint8Array(0);

for await (const connection of Deno.listen({ hostname: "127.0.0.1", port: port! })) {
  connection.setNoDelay(true);
  serve(connection).catch(() => {}).finally(() => connection.close());
}

async function serve(connection: Deno.TcpConn): Promise<void> {
  let packet = Buffer.alloc(PACKET_BYTES_MIN);
  let replies = new Uint8Array(PACKET_BYTES_MIN);
  let verb: number | undefined;
  for (let length; (length = await connection.read(packet)) !== null;) {
    let size = 0;
    let hasPut = false;
    // The search for a character in a string is native; the one for a byte in an array is a loop.
    const text = packet.toString("latin1", 0, length);
    for (let at = 0; at < length;) {
      verb ??= packet[at]!;
      const lf = text.indexOf("\n", at);
      if (lf < 0) break;
      const reply = REPLIES.get(verb) ?? OTHER;
      hasPut ||= verb === PUT;
      replies = withRoom(replies, size, reply.length);
      replies.set(reply, size);
      size += reply.length;
      verb = undefined;
      at = lf + 1;
    }
    // Replies to reads wait too, as those of Keyline and Redis do.
    if (log !== undefined) await log.add(hasPut ? packet.subarray(0, length) : NOTHING);
    for (let sent = 0; sent < size;) sent += await connection.write(replies.subarray(sent, size));
    if (length === packet.length && length < PACKET_BYTES_MAX) {
      packet = Buffer.alloc(Math.min(PACKET_BYTES_MAX, 4 * length));
    }
  }
}

/** The bytes, or a larger copy if they have less room than this from here on. */
function withRoom(bytes: Uint8Array<ArrayBuffer>, from: number, room: number) {
  if (from + room <= bytes.length) return bytes;
  const larger = new Uint8Array(2 * (from + room));
  larger.set(bytes);
  return larger;
}
