/**
 * The least that a server on `Deno.listen` can do: it reads, counts lines, and writes a reply for each, always
 * the same. No stream splits the lines, and nothing is stored. What it reaches is what Deno gives; what
 * Keyline lacks of it is the price of everything else. Started by peers.ts with a port and the length of
 * a value.
 *
 * @module
 */

const [port, valueBytes] = Deno.args.map(Number);
const utf8 = new TextEncoder();
const LF = 0x0a;
/** By the first letter of the verb; the capital ones are those of the load generator. */
const REPLIES = new Map([
  [0x47, utf8.encode(`200 OK ${"v".repeat(valueBytes!)}\r\n`)], // GET
  [0x50, utf8.encode("200 OK\r\n")], // PUT
]);
const OTHER = utf8.encode("404 NOT FOUND\r\n");

for await (const connection of Deno.listen({ hostname: "127.0.0.1", port: port! })) {
  connection.setNoDelay(true);
  serve(connection).catch(() => {}).finally(() => connection.close());
}

async function serve(connection: Deno.TcpConn): Promise<void> {
  const packet = new Uint8Array(65_536);
  const replies = new Uint8Array(packet.length * OTHER.length);
  let verb: number | undefined;
  for (let length; (length = await connection.read(packet)) !== null;) {
    let size = 0;
    for (let i = 0; i < length; i++) {
      verb ??= packet[i]!;
      if (packet[i] !== LF) continue;
      const reply = REPLIES.get(verb) ?? OTHER;
      replies.set(reply, size);
      size += reply.length;
      verb = undefined;
    }
    for (let sent = 0; sent < size;) sent += await connection.write(replies.subarray(sent, size));
  }
}
