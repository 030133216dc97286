/**
 * What is typed or pasted, on its way to readline.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { EventEmitter } from "node:events";
import { Keys, StandIns } from "../../tools/shell_keys.ts";

/** An input with a readline on it that writes down what it is told to do. */
function fakeReadline() {
  const input = new EventEmitter();
  const done: string[] = [];
  input.on("keypress", (_, key) => done.push(`key ${key.name}`));
  const lines = { write: (text: string) => done.push(`write ${text}`) };
  const standIns = new StandIns();
  type Parts = ConstructorParameters<typeof Keys>;
  const keys = new Keys(input as unknown as Parts[0], lines as unknown as Parts[1], {
    standIns,
    before: () => done.push("before"),
    after: () => done.push("after"),
  });
  const type = (text: string) => {
    for (const character of text) input.emit("keypress", character, { name: character });
  };
  return { input, done, keys, type, standIns };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

Deno.test("what is pasted reaches readline in one piece, however long it is", async () => {
  const { done, type } = fakeReadline();
  const text = "PUT k " + "v€𝄞".repeat(1_000);
  type(text);
  assertEquals(done, []);
  await turn();
  assertEquals(done, ["before", `write ${text}`, "after"]);
});

Deno.test("keys keep their order, and each has its own turn", async () => {
  const { input, done, type } = fakeReadline();
  type("GET a");
  input.emit("keypress", "\r", { name: "return" });
  type("b");
  input.emit("keypress", undefined, { name: "left" });
  input.emit("keypress", "c", { name: "c", ctrl: true });
  await turn();
  assertEquals(done.filter((what) => !/before|after/.test(what)), [
    "write GET a",
    "key return",
    "write b",
    "key left",
    "key c",
  ]);
  assertEquals(done.filter((what) => what === "before").length, 5);
  assertEquals(done.filter((what) => what === "after").length, 5);
});

Deno.test("what acts on a terminal has a stand-in while its line is edited", () => {
  const standIns = new StandIns();
  const text = "a\u2028b\u009b2J\u202e\u2028€𝄞\ud800";
  const shown = standIns.shown(text);
  assertEquals(shown.length, text.length);
  assert(!/[\x7f-\x9f\u2028-\u202e]/.test(shown));
  assertEquals(standIns.meant(shown), text);
  assertEquals(standIns.meant(new StandIns().shown("plain €𝄞")), "plain €𝄞");
});

Deno.test("keys that end leave nothing on the input, and nothing to write", async () => {
  const { input, done, keys, type } = fakeReadline();
  type("abc");
  keys.end();
  assertEquals(input.listenerCount("keypress"), 0);
  await turn();
  assertEquals(done, []);
});
