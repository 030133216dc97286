/**
 * A client that floods a server, as a worker of flood.ts: it sends one packet over and over at a steady
 * rate, and reads what comes back without looking at it.
 *
 * @module
 */

/** What to send where. */
export interface Flood {
  readonly port: number;
  /** Sent once, before the flood. */
  readonly hello: Uint8Array<ArrayBuffer>;
  readonly packet: Uint8Array<ArrayBuffer>;
  /** How many bytes to send a second. */
  readonly rate: number;
}

addEventListener("message", (event) => void flood((event as MessageEvent<Flood>).data));

async function flood({ port, hello, packet, rate }: Flood): Promise<void> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  connection.readable.pipeTo(new WritableStream()).catch(() => {});
  if (hello.length > 0) await send(connection, hello);
  const startedAt = performance.now();
  for (let sent = 0;; sent += packet.length) {
    const early = sent / rate * 1_000 - (performance.now() - startedAt);
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
    await send(connection, packet);
  }
}

async function send(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}
