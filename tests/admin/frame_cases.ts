/**
 * What the live page shows of frames that a test makes, in a real browser: the span of its title, charts and
 * legends, what fails, slow requests, and a phone. `page_test.ts` runs this file.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import type { Page } from "npm:playwright-core@1.65.1";
import type { Frame } from "../../admin/frame.ts";
import type { SlowRequest } from "../../server/observe/slow_requests.ts";
import { type Bench, pageTest, textsOf } from "./browser.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const QUANTILES = { p50: 0.001, p99: 0.01, p999: 0.01 };
const FRAME: Frame = {
  at: NOW,
  operations: { get: { rate: 900, ...QUANTILES }, put: { rate: 100, ...QUANTILES } },
  rate: 1_000,
  latency: QUANTILES,
  commits: 100,
  commit: QUANTILES,
  batch: 10,
  received: 1_000,
  sent: 1_000,
  refused: 0,
  malformed: 0,
  connections: 10,
  keys: 1_000,
  memory: 1e8,
  disk: 1e8,
  diskReads: 0,
  loopDelay: 0.001,
  alerts: [],
  slow: [],
};
const ADDRESS = "[2001:db8:1234:5678:9abc:def0:1234:5678]:54321";
const SLOW = {
  at: NOW,
  verb: "KEYS",
  requests: 1,
  milliseconds: 10,
  bytes: 2_048,
  address: ADDRESS,
};
/** The colour of the first line, and that of p99, and paler of p99.9. */
const P50 = "#0b84d8";
const P99 = "#e58a00";

framesTest("the title says the span that is shown, which is as much as there is", async (open) => {
  const page = await open();
  const titles = async () => {
    const titles = [];
    for (const seconds of [120, 900, 3_600]) {
      await page.check(`#span input[value='${seconds}']`);
      titles.push(await page.textContent("#past"));
      const times = await page.$$eval("#charts canvas", inkBelowOf);
      assertEquals(times.map((ink) => ink > 0), Array(6).fill(true), "each chart says when");
    }
    return titles;
  };
  // Not at a round time, which every axis has.
  const until = NOW + 240_000;
  await give(page, seconds(40, until));
  assertEquals(await titles(), Array(3).fill("The last 40 seconds"));
  // The line begins where the chart does, with the hour chosen.
  const line = await page.$eval(
    "#charts figure:nth-child(2) canvas",
    extentOf,
    P99,
  );
  assert(line.from < 0.15 && line.until > 0.9, `${line.from} to ${line.until}`);
  await give(page, seconds(300, until));
  assertEquals(await titles(), ["The last 2 minutes", "The last 5 minutes", "The last 5 minutes"]);
  await give(page, seconds(3_600, until));
  assertEquals(await titles(), ["The last 2 minutes", "The last 15 minutes", "The last hour"]);
});

framesTest("p99 is seen where p99.9 is the same, and so is that", async (open) => {
  const page = await open();
  await give(page, seconds(120));
  const [strong, pale] = await page.$eval(
    "#charts figure:nth-child(2) canvas",
    rowsOf,
    P99,
  );
  assert(strong! > 0, "p99");
  assert(pale! > strong!, "p99.9 is seen on both sides of it");
});

framesTest("a value without neighbours is a point", async (open) => {
  const page = await open();
  const idle = { ...FRAME, latency: null, commit: null, batch: null };
  const frames = seconds(41).map(({ at }, i) => i === 20 ? { ...FRAME, at } : { ...idle, at });
  await give(page, frames);
  const colours = { 2: P99, 3: P99, 4: P50 };
  for (const [place, colour] of Object.entries(colours)) {
    const chart = `#charts figure:nth-child(${place})`;
    const { from, until } = await page.$eval(`${chart} canvas`, extentOf, colour);
    assert(from > 0.4 && from <= until && until < 0.7, `${chart}: ${from} to ${until}`);
  }
});

framesTest("legends say the values of now, or of the pointer, and stay where they are", async (
  open,
) => {
  const page = await open({ viewport: { width: 1_280, height: 1_400 } });
  const frames = seconds(120);
  frames[0] = { ...frames[0]!, connections: 77 };
  await give(page, frames);
  const legend = "#charts figure:nth-child(5) .legend";
  assertEquals(await textsOf(page, legend), ["connected10"]);
  assertEquals(await textsOf(page, ".legend li:visible b"), [
    ...["900", "100", "1.00 ms", "10.0 ms", "10.0 ms", "1.00 ms", "10.0 ms", "10", "10"],
    "95.4 MiB",
  ]);
  const before = await boxesOf(page, ".legend li");
  const plot = (await page.locator("#charts figure:nth-child(5) .u-over").boundingBox())!;
  await page.mouse.move(plot.x + 2, plot.y + 20);
  assertEquals(await textsOf(page, legend), ["connected77"]);
  const times = await textsOf(page, "#charts time");
  assertEquals([new Set(times).size, /^\d\d:\d\d:\d\d$/.test(times[0]!)], [1, true], "all follow");
  assertEquals(await boxesOf(page, ".legend li"), before);
  // An operation that turns up later takes a place that was kept for it.
  const { operations } = FRAME;
  await give(page, [{ ...FRAME, operations: { ...operations, add: operations.put! } }], {
    event: "frame",
  });
  await page.mouse.move(0, 0);
  assertEquals(await textsOf(page, "#charts figure:nth-child(1) li:visible span"), [
    ...["GET", "PUT", "ADD"],
  ]);
  assertEquals(await boxesOf(page, ".legend li"), before);
});

framesTest("what fails is the answer to the first question", async (open) => {
  const page = await open();
  await give(page, [FRAME]);
  assertEquals(await wellOf(page), ["Yes", "up for 1 h 0 min"]);
  const full = { name: "disk full", since: NOW - 65_000 };
  await give(page, [{ ...FRAME, alerts: [full] }], { event: "frame" });
  assertEquals(await wellOf(page), ["Disk full", "for 1 min 5 s"]);
  assertEquals(await page.getAttribute("#well", "data-state"), "failing");
  assertEquals(await page.title(), "Disk full – Keyline: data");
  const failing = { name: "commits fail", since: NOW };
  await give(page, [{ ...FRAME, alerts: [full, failing] }], { event: "frame" });
  assertEquals(await wellOf(page), [
    "2 things are wrong",
    "Disk full, for 1 min 5 s",
    "Commits fail, for 0 s",
  ]);
  await give(page, [FRAME], { event: "frame" });
  assertEquals(await wellOf(page), ["Yes", "up for 1 h 0 min"]);
  assertEquals(await page.title(), "Keyline: data");
});

framesTest("slow requests are listed, the newest first, and the last 128 if asked for", async (
  open,
) => {
  const page = await open();
  await give(page, [FRAME]);
  assertEquals(await page.textContent("#slow"), "None has held up the server.");
  assertEquals(await page.isVisible("#all-slow"), false);
  const slow = seconds(127).map(({ at }) => ({ ...SLOW, at }));
  await give(page, [FRAME], { slow });
  const more = [{ ...SLOW, requests: 3 }, { ...SLOW, verb: "PUT", milliseconds: 139 }];
  await give(page, [{ ...FRAME, slow: more }], { event: "frame", slow });
  assertEquals(await page.locator("#slow tr").count(), 8);
  assertEquals(
    (await textsOf(page, "#slow tr:nth-child(-n + 2) td")).filter((_, i) => i % 4 > 0),
    [`PUT ${ADDRESS}`, "139 ms", "2.00 KiB", `KEYS and 2 more ${ADDRESS}`, "10.0 ms", "2.00 KiB"],
  );
  await page.click("text=Show all 128");
  assertEquals(await page.locator("#slow tr").count(), 128);
  await page.click("text=Show the last 8");
  assertEquals(await page.locator("#slow tr").count(), 8);
});

for (const width of [320, 360]) {
  framesTest(`on a phone ${width} pixels wide nothing is cut off or scrolls in itself`, async (
    open,
    server,
  ) => {
    using client = await server.process.connect();
    await client.ask(`PUT ${"k".repeat(1_000)} ${"v".repeat(5_000)}`);
    const page = await open({ viewport: { width, height: 640 } });
    const large = { p50: 0.000999, p99: 0.999, p999: 9.99 };
    const rate = 1_230_000;
    const frame = {
      ...FRAME,
      rate,
      latency: large,
      operations: Object.fromEntries(
        ["persist", "get", "put", "expire", "delete", "count", "incr"].map((name) => [name, {
          rate,
          ...large,
        }]),
      ),
      alerts: [{ name: "file descriptors are short", since: 0 }, { name: "disk full", since: 0 }],
    };
    const slow = [{ ...SLOW, verb: "PERSIST", milliseconds: 999, bytes: 1_023 * 1_024 }];
    await give(page, seconds(40).map(({ at }) => ({ ...frame, at })), { slow });
    await page.click("#keys button");
    await page.waitForSelector("#entry:not([hidden])");
    assertEquals(await page.evaluate(`[document.documentElement.scrollWidth, innerWidth]`), [
      width,
      width,
    ]);
    assertEquals(await page.evaluate(faultsOfLayout), []);
    const edges = await page.$$eval("#charts canvas", inkAtEdgesOf);
    assertEquals(edges, Array(6).fill(0), "a time or a number reaches beyond its chart");
  });
}

/** Defines a test whose page gets no frames but those that the test gives. */
function framesTest(
  name: string,
  run: (open: Bench["open"], server: Bench["server"]) => Promise<void>,
): void {
  pageTest(name, ({ open, server }) => run(open, server), {
    prepare: async (page) => {
      await page.addInitScript(`
        globalThis.EventSource = class extends EventTarget {
          constructor() {
            super();
            globalThis.stream = this;
          }
        };
      `);
    },
  });
}

/** So many frames, a second apart. */
function seconds(count: number, until = NOW): Frame[] {
  return Array.from({ length: count }, (_, i) => ({
    ...FRAME,
    at: until - (count - 1 - i) * 1_000,
  }));
}

/** Gives frames to the page, as all that there are or one more. */
async function give(
  page: Page,
  frames: readonly Frame[],
  { event = "history", slow = [] }: {
    event?: "history" | "frame";
    slow?: readonly SlowRequest[];
  } = {},
): Promise<void> {
  const server = { version: "1.0.0", table: "data", startedAt: NOW - 3_600_000, slow };
  const data = event === "history" ? frames : frames[0];
  for (const [type, value] of [["server", server], [event, data]]) {
    const text = JSON.stringify(JSON.stringify(value));
    await page.evaluate(`stream.dispatchEvent(new MessageEvent("${type}", { data: ${text} }))`);
  }
}

async function wellOf(page: Page): Promise<string[]> {
  return await textsOf(page, "#state, #why li");
}

async function boxesOf(page: Page, selector: string): Promise<unknown> {
  return await page.$$eval(selector, (elements) =>
    // deno-lint-ignore no-explicit-any
    elements.map((element: any) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return [x, y, width, height];
    }));
}

// What follows runs in the browser.

/** On how many pixels of each canvas something is drawn where the times of its axis stand. */
// deno-lint-ignore no-explicit-any
function inkBelowOf(canvases: any[]): number[] {
  return canvases.map((canvas) => {
    const { data } = canvas.getContext("2d")
      .getImageData(0, canvas.height - 18, canvas.width, 18);
    return Array.from(data as Uint8ClampedArray).filter((value, i) => i % 4 === 3 && value > 0)
      .length;
  });
}

/** How many pixels of each canvas something is drawn on at its left or right edge. */
// deno-lint-ignore no-explicit-any
function inkAtEdgesOf(canvases: any[]): number[] {
  return canvases.map((canvas) =>
    [0, canvas.width - 1].flatMap((x) => {
      const { data } = canvas.getContext("2d").getImageData(x, 0, 1, canvas.height);
      return Array.from(data as Uint8ClampedArray).filter((value, i) => i % 4 === 3 && value > 0);
    }).length
  );
}

/** Where the pixels of this colour begin and end, as shares of the width of a canvas. */
// deno-lint-ignore no-explicit-any
function extentOf(canvas: any, colour: string): { from: number; until: number } {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const columns = [];
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] === red && data[i + 1] === green && data[i + 2] === blue && data[i + 3] === 255) {
      columns.push((i / 4 % canvas.width) / canvas.width);
    }
  }
  return { from: Math.min(...columns), until: Math.max(...columns) };
}

/** In how many rows of pixels of a canvas' middle this colour is opaque, and in how many it is there at all. */
// deno-lint-ignore no-explicit-any
function rowsOf(canvas: any, colour: string): number[] {
  const { data } = canvas.getContext("2d")
    .getImageData(Math.floor(canvas.width / 2) + 7, 0, 1, canvas.height);
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)) as [
    number,
    number,
    number,
  ];
  let [opaque, all] = [0, 0];
  for (let i = 0; i < data.length; i += 4) {
    // What is half transparent is stored with a rounding error.
    const isColour = Math.abs(data[i] - red) < 4 && Math.abs(data[i + 1] - green) < 4 &&
      Math.abs(data[i + 2] - blue) < 4;
    if (isColour && data[i + 3] > 0) all++;
    if (isColour && data[i + 3] === 255) opaque++;
  }
  return [opaque, all];
}

/** What is cut off, reaches beyond the window, or scrolls in itself. */
const faultsOfLayout = `[...document.querySelectorAll("body *")].flatMap((element) => {
  const { left, right, width } = element.getBoundingClientRect();
  if (width === 0 || element.closest("legend") !== null) return [];
  const name = element.tagName + "#" + element.id + " " + element.textContent.slice(0, 30);
  const { overflowX, overflowY } = getComputedStyle(element);
  const faults = [];
  if (left < 0 || right > innerWidth) faults.push(name + " reaches beyond the window");
  // Of an inline element, both are 0.
  if (element.scrollWidth > element.clientWidth && element.clientWidth > 0) {
    faults.push(name + " does not fit");
  }
  if (/auto|scroll/.test(overflowX + overflowY)) faults.push(name + " may scroll in itself");
  return faults;
})`;
