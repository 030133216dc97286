/**
 * What a failed call means to whoever made it: nothing took place, or nobody knows. When in doubt, nobody
 * knows.
 *
 * @module
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import http2 from "node:http2";
import { Cluster } from "../../../tables/etcd/cluster.ts";
import { NotReachedError, UncertainError } from "../../../tables/etcd/errors.ts";
import type { Txn } from "../../../tables/etcd/messages.ts";
import { TableError } from "../../../tables/table.ts";
import { type FakeCall, FakeEtcd, refuse, reply } from "../../support/fake_etcd.ts";
import { testWith } from "../../support/harness.ts";

const ATTEMPT_MS = 300;
const NOTHING: Txn = { success: [] };
/** A TxnResponse: it succeeded, and nothing else. */
const SUCCEEDED = new Uint8Array([0x10, 0x01]);

function clusterOf(nodes: readonly FakeEtcd[], login?: { user: string; password: string }) {
  const addresses = nodes.map(({ address }) => address);
  const cluster = new Cluster({ nodes: addresses, attemptMs: ATTEMPT_MS, login });
  return Object.assign(cluster, { [Symbol.dispose]: () => cluster.close() });
}

const soon = () => Date.now() + 5_000;

function reset(code: number): (call: FakeCall) => void {
  return ({ stream }) => stream.close(code);
}

function answerHttp(status: number): (call: FakeCall) => void {
  return ({ stream }) => stream.respond({ ":status": status }, { endStream: true });
}

testWith(["net"], "what etcd refuses did not take place, and the client is told why", async () => {
  const refused = [
    [8, "etcdserver: mvcc: database space exceeded", "the table's engine is full"],
    [3, "etcdserver: too many operations in txn request", "the table's engine refuses"],
    [3, "etcdserver: request is too large", "more bytes than the engine takes at once"],
    [
      8,
      "grpc: received message larger than max (9 vs. 8)",
      "more bytes than the engine takes at once",
    ],
    [7, "etcdserver: permission denied", "the table's engine lets this server not in"],
  ] as const;
  for (const [status, message, told] of refused) {
    await using node = await FakeEtcd.start((call) => refuse(call, status, message));
    using cluster = clusterOf([node]);
    const error = await assertRejects(() => cluster.once(NOTHING, soon()), TableError);
    assertEquals(error.message, told);
    assert(!(error instanceof NotReachedError), "another attempt is of no use");
  }
});

testWith(
  ["net"],
  "a node without a leader has done nothing, and the next one is asked",
  async () => {
    await using node = await FakeEtcd.start((call) => {
      if (node.calls.length % 2 === 1) refuse(call, 14, "etcdserver: no leader");
      else reply(call, SUCCEEDED);
    });
    using cluster = clusterOf([node, node]);
    await assertRejects(() => cluster.once(NOTHING, soon()), NotReachedError);
    assert((await cluster.repeatable(NOTHING, soon())).succeeded);
  },
);

testWith(["net"], "nobody knows what became of a call that etcd did not answer", async () => {
  const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_INADEQUATE_SECURITY } =
    http2.constants;
  const answers: [string, (call: FakeCall) => void][] = [
    ["silence", () => {}],
    ["a reset", reset(NGHTTP2_CANCEL)],
    ["a reset that the library calls exhausted", reset(NGHTTP2_ENHANCE_YOUR_CALM)],
    ["a reset that the library calls denied", reset(NGHTTP2_INADEQUATE_SECURITY)],
    ["a proxy that wants a login", answerHttp(401)],
    ["a proxy that forbids", answerHttp(403)],
    ["a proxy without a node", answerHttp(503)],
    ["a reply that is cut off", (call) => reply(call, new Uint8Array([0x1a, 0x05, 0x0a]))],
    ["a timeout of etcd", (call) => refuse(call, 14, "etcdserver: request timed out")],
  ];
  for (const [name, answer] of answers) {
    await using node = await FakeEtcd.start(answer);
    using cluster = clusterOf([node]);
    const outcome = await cluster.once(NOTHING, soon()).catch((error) => error);
    assert(outcome instanceof UncertainError, `${name}: ${outcome}`);
    assertEquals(node.calls.length, 1, name);
  }
});

testWith(["net"], "a token that is no longer known is fetched again, once", async () => {
  const logins = () => node.calls.filter(({ headers }) => headers[":path"]!.includes("Auth"));
  await using node = await FakeEtcd.start((call) => {
    if (call.headers[":path"]!.includes("Auth")) {
      const token = new TextEncoder().encode(`token-${logins().length}`);
      return reply(call, new Uint8Array([0x12, token.length, ...token]));
    }
    if (call.headers["token"] === "token-2") return reply(call, SUCCEEDED);
    refuse(call, 16, "etcdserver: invalid auth token");
  });
  using cluster = clusterOf([node], { user: "ann", password: "word" });
  assert((await cluster.once(NOTHING, soon())).succeeded);
  assertEquals(logins().length, 2);
});
