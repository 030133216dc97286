/**
 * Calls to a node that answers, hangs, resets or is gone: what comes back, how soon, and whether it is said
 * of a failed call that the node may have got it.
 *
 * @module
 */

import { status as Status } from "npm:@grpc/grpc-js@1.14.7";
import { assert, assertEquals, assertRejects } from "@std/assert";
import http2 from "node:http2";
import { CallError, type Method, Node } from "../../../tables/etcd/grpc.ts";
import { FakeEtcd, refuse, reply } from "../../support/fake_etcd.ts";
import { testWith } from "../../support/harness.ts";
import { delay } from "../../support/waiting.ts";

const TIMEOUT_MS = 300;
/** How long a call may take that fails at once, or at its deadline; the machine may be busy. */
const FAILED_MS = 2_000;
/** After how long the library has forgotten a connection that was not made; it waits longer each time. */
const FORGOTTEN_MS = 1_500;

/** Sends bytes and gets bytes. */
const ECHO: Method<Uint8Array, Uint8Array> = {
  path: "/test.Test/Echo",
  encode: (request) => request,
  decode: (message) => message,
};
const REQUEST = new Uint8Array([1, 2, 3]);

/** A node's client that ends with its scope. */
function clientOf(address: string): Node & Disposable {
  const node = new Node(address);
  return Object.assign(node, { [Symbol.dispose]: () => node.close() });
}

function call(
  node: Node,
  { timeout = TIMEOUT_MS, token }: { timeout?: number; token?: string } = {},
) {
  return node.call(ECHO, REQUEST, { timeout, token });
}

/** How a call fails, which must be soon. */
async function failure(calling: Promise<unknown>): Promise<CallError> {
  const startedAt = performance.now();
  const error = await assertRejects(() => calling, CallError);
  assert(performance.now() - startedAt < FAILED_MS, "it fails in time");
  return error;
}

testWith(["net"], "a call has its headers and gets its reply, however large", async () => {
  const large = new Uint8Array(6_000_000).fill(7);
  await using node = await FakeEtcd.start((call) => reply(call, large));
  using client = clientOf(node.address);
  assertEquals(await call(client, { timeout: 30_000, token: "t0ken" }), large);
  const [{ headers }] = node.calls as [typeof node.calls[0]];
  assertEquals(headers[":path"], ECHO.path);
  assertEquals([headers["hasleader"], headers["token"]], ["true", "t0ken"]);
  await call(client, { timeout: 30_000 });
  assertEquals(node.calls[1]!.headers["token"], undefined);
  assertEquals(node.connections, 1);
});

testWith(["net"], "the status and the words of a node are those of the error", async () => {
  await using node = await FakeEtcd.start((call) => refuse(call, 3, "etcdserver: no"));
  using client = clientOf(node.address);
  const { status, message, isSent } = await failure(call(client));
  assertEquals([status, message, isSent], [Status.INVALID_ARGUMENT, "etcdserver: no", true]);
});

testWith(["net"], "a call that meets no node has not been sent", async () => {
  using client = clientOf(await unusedAddress());
  for (let i = 0; i < 3; i++) {
    const { status, isSent } = await failure(call(client));
    assertEquals([status, isSent], [Status.UNAVAILABLE, false]);
  }
  client.close();
  await delay(FORGOTTEN_MS);
});

testWith(["net"], "a call to a node that does not take it up has not been sent", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  using client = clientOf(`127.0.0.1:${(listener.addr as Deno.NetAddr).port}`);
  const calling = failure(call(client));
  using _silent = await listener.accept();
  const { status, isSent } = await calling;
  assertEquals([status, isSent], [Status.DEADLINE_EXCEEDED, false]);
  // The next one does not wait for that connection.
  const again = failure(call(client));
  using _again = await listener.accept();
  assertEquals((await again).isSent, false);
  client.close();
  await delay(FORGOTTEN_MS);
});

testWith(["net"], "a call may have been sent to a node that says nothing more", async () => {
  const answers = [
    { name: "silence", answer: () => {}, status: Status.DEADLINE_EXCEEDED },
    {
      name: "the end of the connection",
      answer: ({ stream }: { stream: http2.ServerHttp2Stream }) => stream.session!.destroy(),
    },
    ...["NO_ERROR", "CANCEL", "REFUSED_STREAM", "INTERNAL_ERROR", "ENHANCE_YOUR_CALM"].map((
      code,
    ) => ({
      name: code,
      answer: ({ stream }: { stream: http2.ServerHttp2Stream }) =>
        stream.close(http2.constants[`NGHTTP2_${code}` as "NGHTTP2_CANCEL"]),
    })),
  ];
  for (const { name, answer, status } of answers) {
    await using node = await FakeEtcd.start(answer);
    using client = clientOf(node.address);
    const error = await failure(call(client));
    assertEquals(error.isSent, true, name);
    if (status !== undefined) assertEquals(error.status, status, name);
    assertEquals(node.calls.length, 1, `${name}: it is not sent again`);
  }
});

testWith(["net"], "a reply that can't be read may follow a call that was carried out", async () => {
  await using node = await FakeEtcd.start((call) => reply(call, REQUEST));
  using client = clientOf(node.address);
  const unreadable = {
    ...ECHO,
    decode: (): Uint8Array => {
      throw new RangeError("cut off");
    },
  };
  const { isSent } = await failure(client.call(unreadable, REQUEST, { timeout: TIMEOUT_MS }));
  assertEquals(isSent, true);
});

testWith(
  ["net"],
  "a node that says nothing gets a new connection, others keep theirs",
  async () => {
    let isSilent = true;
    await using node = await FakeEtcd.start((call) => {
      if (!isSilent || node.calls.length % 2 === 0) reply(call, REQUEST);
    });
    using client = clientOf(node.address);
    await failure(call(client));
    isSilent = false;
    assertEquals(await call(client, { timeout: FAILED_MS }), REQUEST);
    assertEquals(node.connections, 2);
    // One call gets no answer, but another one did meanwhile.
    isSilent = true;
    const lost = failure(call(client));
    assertEquals(await call(client), REQUEST);
    await lost;
    await call(client, { timeout: FAILED_MS }).catch(() => {});
    assertEquals(node.connections, 2);
  },
);

testWith(["net"], "a node that is back is called again within seconds", async () => {
  const first = await FakeEtcd.start((call) => reply(call, REQUEST));
  using client = clientOf(first.address);
  const port = Number(first.address.split(":")[1]);
  assertEquals(await call(client, { timeout: FAILED_MS }), REQUEST);
  await first[Symbol.asyncDispose]();
  // Long enough for the time between attempts to grow to its most.
  const until = performance.now() + 3_000;
  while (performance.now() < until) {
    assertEquals((await failure(call(client))).isSent, false);
    await delay(50);
  }
  await using second = await FakeEtcd.start((call) => reply(call, REQUEST), { port });
  const backAt = performance.now();
  while (await call(client).then(() => false, () => true)) {
    assert(performance.now() - backAt < FAILED_MS, "it is not found");
    await delay(50);
  }
  assertEquals(second.connections, 1);
});

async function unusedAddress(): Promise<string> {
  const node = await FakeEtcd.start(() => {});
  const { address } = node;
  await node[Symbol.asyncDispose]();
  return address;
}
