/**
 * What a meter shows, on a terminal and elsewhere, by a clock of the test's own.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { grouped, Meter } from "../../tools/progress.ts";

function meterOn(screen: { isTTY?: boolean; columns?: number }) {
  const written: string[] = [];
  let time = 0;
  const meter = new Meter({
    unit: "keys",
    screen: { ...screen, write: (text) => written.push(text) },
    now: () => time,
  });
  return { meter, written, pass: (milliseconds: number) => time += milliseconds };
}

Deno.test("a meter shows a bar, a rate and the time that is left", () => {
  const { meter, written, pass } = meterOn({ isTTY: true, columns: 100 });
  pass(10_000);
  meter.done = 25_000;
  meter.fraction = 0.25;
  meter.draw();
  const bar = "██████░░░░░░░░░░░░░░░░░░";
  assertEquals(written, [`\r${bar} 25 %  25,000 keys, 2,500/s, 30 s left\x1b[K`]);
  meter[Symbol.dispose]();
  assertEquals(written.at(-1), "\r\x1b[K");
});

Deno.test("a line for a person stands above the bar", () => {
  const { meter, written } = meterOn({ isTTY: true });
  meter.draw();
  meter.note("Left out line 5");
  assertEquals(written.slice(1), ["\r\x1b[K", "Left out line 5\n"]);
  meter[Symbol.dispose]();
});

Deno.test("a meter that is no terminal's writes plain lines, no wider than they are", () => {
  const { meter, written, pass } = meterOn({});
  pass(61_000);
  meter.done = 61_000;
  meter.draw();
  assertEquals(written, ["61,000 keys, 1,000/s, 1 min 1 s\n"]);
  meter[Symbol.dispose]();
  assertEquals(written.length, 1);
});

Deno.test("a bar fits into its line", () => {
  const { meter, written } = meterOn({ isTTY: true, columns: 20 });
  meter.fraction = 2;
  meter.draw();
  assertEquals(written[0]!.length, "\r\x1b[K".length + 19);
  meter[Symbol.dispose]();
});

Deno.test("numbers are written with commas", () => {
  assertEquals([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
});
