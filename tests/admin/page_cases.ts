/**
 * The live page in a real browser: figures move, what is stored stays text, it says when the connection is
 * lost, and it can be used with the keyboard alone. `page_test.ts` runs this file.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Page } from "npm:playwright-core@1.65.1";
import { eventually } from "./admin_server.ts";
import { pageTest, textsOf } from "./browser.ts";
import { delay } from "../support/waiting.ts";

const SCRIPT = "<script>document.title='owned'</script>";
const IMAGE = "<img/src=x/onerror=document.title='owned'>";

pageTest("figures move while clients are at work", async ({ server, open }) => {
  const page = await open();
  await page.waitForSelector("#well[data-state=live]");
  using client = await server.process.connect();
  const isOver = Promise.withResolvers<void>();
  const load = (async () => {
    for (let isDone = false; !isDone;) {
      await client.send("PUT a 1\r\nGET a\r\n".repeat(50));
      for (let i = 0; i < 100; i++) await client.line();
      isDone = await Promise.race([isOver.promise.then(() => true), delay(10).then(() => false)]);
    }
  })();
  await eventually(async () => {
    const rate = await page.textContent("#rate");
    return rate !== "0" && rate !== "–" || undefined;
  });
  await page.waitForSelector("#operations tr:nth-child(2)");
  assertEquals(await textsOf(page, "#operations td:first-child"), ["GET", "PUT"]);
  await eventually(async () => await page.locator("#charts h3").count() === 6 || undefined);
  assertEquals(await page.locator("#charts canvas").count(), 6);
  const ink = await page.$eval("#charts canvas", inkOf);
  await page.check("#span input[value='900']");
  assert(ink > 0, "something is drawn");
  isOver.resolve();
  await load;
});

pageTest("a table without requests says so, and where there were some that it is idle", async (
  { server, open },
) => {
  const page = await open();
  await page.waitForSelector("#operations tr");
  assertMatch(
    (await page.textContent("#operations"))!,
    /^No requests in the last (second|\d+ seconds)\.$/,
  );
  using client = await server.process.connect();
  await client.ask("PUT a 1");
  await page.waitForSelector("#operations tr >> text=PUT");
  await eventually(async () => await page.textContent("#idle") === "idle now" || undefined);
  assertEquals(await textsOf(page, "#operations td"), ["PUT", "0", "–", "–", "–"]);
});

pageTest("the layout stays still while the page asks for keys", async ({ server, open }) => {
  using client = await server.process.connect();
  await client.ask("PUT a 1");
  const page = await open();
  await page.waitForSelector("#operations tr >> text=PUT");
  await page.waitForSelector("#charts canvas");
  await page.waitForSelector("#keys button");
  await frames(page, 2);
  // What moves up or down: a figure that gets a digit more moves sideways, and may.
  await page.evaluate(`
    globalThis.shifts = [];
    new PerformanceObserver((list) => {
      for (const { sources } of list.getEntries()) {
        for (const { node, previousRect, currentRect } of sources) {
          const distance = currentRect.y - previousRect.y;
          if (distance !== 0) shifts.push(\`\${node?.nodeName} \${node?.id}: \${distance}\`);
        }
      }
    }).observe({ type: "layout-shift" });
  `);
  for (let i = 0; i < 3; i++) {
    await page.evaluate(
      `Promise.all(["keys", "value?key=a"].map((path) => fetch("/api/" + path)))`,
    );
    await frames(page, 1);
  }
  assertEquals(await page.evaluate("shifts"), []);
  assertEquals(await textsOf(page, "#operations td:first-child"), ["PUT"]);
  // So that it would see one.
  await page.evaluate(`document.getElementById("now").style.marginTop = "9rem"`);
  await eventually(async () => await page.evaluate("shifts.length") as number > 0 || undefined);
});

pageTest("what clients stored shows as text, never as HTML", async ({ server, open }) => {
  using client = await server.process.connect();
  for (const key of [SCRIPT, IMAGE]) {
    assertEquals(await client.ask(`PUT ${key} ${IMAGE}${SCRIPT} \u202e and more`), "200 OK");
  }
  const page = await open();
  await page.waitForSelector("#keys button");
  assertEquals(await textsOf(page, "#keys button"), [IMAGE, SCRIPT]);
  await page.click("#keys tbody tr:nth-child(2) button");
  await page.waitForSelector("#entry:not([hidden])");
  assertEquals(await page.textContent("#keys tr:has(#entry) button"), SCRIPT);
  assertEquals(await page.textContent("#entry-value"), `${IMAGE}${SCRIPT} \u202e and more`);
  assertStringIncludes((await page.textContent("#entry-facts"))!, "Expiresnever");
  assertEquals(await page.locator("#keys script, #keys img").count(), 0);
  assertStringIncludes(await page.title(), "Keyline");
});

pageTest("keys are found, paged and opened with the keyboard alone", async ({ server, open }) => {
  using client = await server.process.connect();
  const puts = Array.from({ length: 26 }, (_, i) => `PUT k${100 + i} v${i}\r\n`);
  await client.send(`PUT other 1\r\n${puts.join("")}`);
  for (let i = 0; i <= 26; i++) await client.line();
  const page = await open();
  await page.waitForSelector("#keys button");
  await page.focus("#prefix");
  await page.keyboard.type("k");
  await page.keyboard.press("Enter");
  await says(page, "25 keys that begin with k; more follow.");
  await page.keyboard.press("Tab"); // List
  await page.keyboard.press("Tab"); // the first key
  await page.keyboard.press("End");
  await page.keyboard.press("Tab"); // First page can't be pressed yet, so: Next page
  await page.keyboard.press("Enter");
  await says(page, "Key 26 that begins with k; this is the end.");
  await page.click("#first");
  await says(page, "25 keys that begin with k; more follow.");
  await page.focus("#keys button");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#entry:not([hidden])");
  assertEquals(await page.textContent("#entry-value"), "v1");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#entry", { state: "hidden" });
});

pageTest("the browser of keys counts one key as one, and none as none", async (
  { server, open },
) => {
  using client = await server.process.connect();
  await client.ask("PUT a 1");
  const page = await open();
  await says(page, "1 key; this is the end.");
  await page.fill("#prefix", "b");
  await page.press("#prefix", "Enter");
  await says(page, "No keys that begin with b; this is the end.");
  assertEquals(await page.locator("#keys button").count(), 0);
});

pageTest(
  "it says that the connection is lost, and goes on when it is back",
  async ({ server, open }) => {
    const page = await open();
    await page.waitForSelector("#well[data-state=live]");
    server.process.signal("SIGSTOP");
    await page.waitForSelector("#well[data-state=lost]");
    assertEquals(await page.textContent("#state"), "Connection lost");
    server.process.signal("SIGCONT");
    await page.waitForSelector("#well[data-state=live]");
    await server.process.stop();
    await page.waitForSelector("#well[data-state=lost]");
  },
);

pageTest("it says what fails on the server", async ({ server, open }) => {
  const page = await open();
  await page.waitForSelector("#well[data-state=live]");
  using _client = await server.process.connect();
  using other = await server.process.connect();
  assertMatch((await other.line())!, /^503 /);
  await page.waitForSelector("#well[data-state=failing]");
  assertEquals(await page.textContent("#state"), "Clients refused");
  assertMatch(await page.title(), /^Clients refused – Keyline: /);
}, { env: { KEYLINE_MAX_CONNECTIONS: "1" } });

pageTest("it is dark where that is wished for, and asks for the password", async (
  { server, open },
) => {
  const page = await open({
    colorScheme: "dark",
    httpCredentials: { username: "me", password: "sesame" },
  });
  await page.waitForSelector("#well[data-state=live]");
  const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
  assertEquals(paper, "rgb(20, 22, 26)");
  assertEquals((await server.get("")).status, 401, "without the password it does not show");
}, { env: { KEYLINE_PASSWORD: "sesame" } });

async function says(page: Page, text: string): Promise<void> {
  await eventually(async () => await page.textContent("#keys-state") === text || undefined);
}

/** Waits for so many frames: each moves the age of the server. */
async function frames(page: Page, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const age = await page.textContent("#why");
    await eventually(async () => await page.textContent("#why") !== age || undefined);
  }
}

// The one below runs in the browser.

/** How many pixels of a canvas something is drawn on. */
// deno-lint-ignore no-explicit-any
function inkOf(canvas: any): number {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let ink = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) ink++;
  return ink;
}
