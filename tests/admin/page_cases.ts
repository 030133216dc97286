/**
 * The live page in a real browser: figures move, what is stored stays text, it says when the connection is
 * lost, and it can be used with the keyboard alone. `page_test.ts` runs this file.
 *
 * @module
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Browser, Page } from "npm:playwright-core@1.65.1";
import { AdminServer, eventually } from "./admin_server.ts";

const SCRIPT = "<script>document.title='owned'</script>";
const IMAGE = "<img/src=x/onerror=document.title='owned'>";

pageTest("figures move while clients are at work", async ({ server, open }) => {
  const page = await open();
  await page.waitForSelector("#state[data-state=live]");
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
    const rate = await page.textContent("#tiles dd");
    return rate !== "0" && rate !== "–" || undefined;
  });
  await page.waitForSelector("#operations tr:nth-child(2)");
  const operations = await page.$$eval("#operations td:first-child", textsOf);
  assert(operations.includes("GET") && operations.includes("PUT"), operations.join());
  await eventually(async () => {
    const captions = await page.$$eval("#charts figcaption", textsOf);
    return captions.length === 6 || undefined;
  });
  assertEquals(await page.locator("#charts canvas").count(), 6);
  const ink = await page.$eval("#charts canvas", inkOf);
  await page.check("#span input[value='900']");
  assert(ink > 0, "something is drawn");
  isOver.resolve();
  await load;
});

pageTest("what clients stored shows as text, never as HTML", async ({ server, open }) => {
  using client = await server.process.connect();
  for (const key of [SCRIPT, IMAGE]) {
    assertEquals(await client.ask(`PUT ${key} ${IMAGE}${SCRIPT} \u202e and more`), "200 OK");
  }
  const page = await open();
  await page.waitForSelector("#keys button");
  assertEquals(await page.$$eval("#keys button", textsOf), [IMAGE, SCRIPT]);
  await page.click("#keys li:nth-child(2) button");
  await page.waitForSelector("#entry:not([hidden])");
  assertEquals(await page.textContent("#entry-key"), SCRIPT);
  assertEquals(await page.textContent("#entry-value"), `${IMAGE}${SCRIPT} \u202e and more`);
  assertStringIncludes((await page.textContent("#entry-facts"))!, "Expiresnever");
  assertEquals(await page.locator("#browser script, #browser img").count(), 0);
  assertStringIncludes(await page.title(), "Keyline");
});

pageTest("keys are found, paged and opened with the keyboard alone", async ({ server, open }) => {
  using client = await server.process.connect();
  const puts = Array.from({ length: 150 }, (_, i) => `PUT k${100 + i} v${i}\r\n`);
  await client.send(`PUT other 1\r\n${puts.join("")}`);
  for (let i = 0; i <= 150; i++) await client.line();
  const page = await open();
  await page.waitForSelector("#keys button");
  await page.focus("#prefix");
  await page.keyboard.type("k");
  await page.keyboard.press("Enter");
  await says(page, "100 keys that begin with k, and there are more.");
  await page.keyboard.press("Tab"); // List
  await page.keyboard.press("Tab"); // the first key
  await page.keyboard.press("End");
  await page.keyboard.press("Tab"); // First page can't be pressed yet, so: Next page
  await page.keyboard.press("Enter");
  await says(page, "50 keys that begin with k after k199.");
  await page.focus("#keys button");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#entry:not([hidden])");
  assertEquals(await page.textContent("#entry-value"), "v101");
});

pageTest(
  "it says that the connection is lost, and goes on when it is back",
  async ({ server, open }) => {
    const page = await open();
    await page.waitForSelector("#state[data-state=live]");
    server.process.signal("SIGSTOP");
    await page.waitForSelector("#state[data-state=lost]");
    assertStringIncludes((await page.textContent("#state"))!, "Connection lost");
    server.process.signal("SIGCONT");
    await page.waitForSelector("#state[data-state=live]");
    await server.process.stop();
    await page.waitForSelector("#state[data-state=lost]");
  },
);

pageTest("it fits a phone in the dark, and asks for the password", async ({ server, open }) => {
  const page = await open({
    colorScheme: "dark",
    viewport: { width: 360, height: 640 },
    httpCredentials: { username: "me", password: "sesame" },
  });
  await page.waitForSelector("#state[data-state=live]");
  await page.waitForSelector("#charts canvas");
  const width = await page.evaluate("document.documentElement.scrollWidth");
  assert(Number(width) <= 360, `${width} pixels`);
  const paper = await page.evaluate("getComputedStyle(document.body).backgroundColor");
  assertEquals(paper, "rgb(20, 22, 26)");
  assertEquals((await server.get("")).status, 401, "without the password it does not show");
}, { KEYLINE_PASSWORD: "sesame" });

/** What a test of the page works with. */
interface Bench {
  readonly server: AdminServer;
  /** Opens the page. */
  open(options?: Parameters<Browser["newPage"]>[0]): Promise<Page>;
}

/** Defines a test that has a browser, and fails where the page logs an error or breaks its own policy. */
function pageTest(
  name: string,
  run: (bench: Bench) => Promise<void>,
  env: Record<string, string> = {},
): void {
  Deno.test(name, async () => {
    const { chromium } = await import("npm:playwright-core@1.65.1");
    await using server = await AdminServer.start({ env });
    // A sandbox of its own is not to be had where everything runs as root, as in containers.
    const args = ["--no-sandbox", "--disable-gpu"];
    const browser = await chromium.launch({ executablePath: pathOf("chromium"), args });
    const faults: string[] = [];
    try {
      await run({
        server,
        async open(options) {
          const page = await browser.newPage(options);
          page.on("pageerror", (error) => faults.push(String(error)));
          page.on("console", (message) => {
            // A connection that is lost is told by the browser, too.
            const isAboutNetwork = /Failed to load resource|net::ERR/.test(message.text());
            if (message.type() === "error" && !isAboutNetwork) faults.push(message.text());
          });
          const response = await page.goto(server.url);
          assertEquals(response!.status(), 200);
          return page;
        },
      });
      assertEquals(faults, []);
    } finally {
      await browser.close();
    }
  });
}

async function says(page: Page, text: string): Promise<void> {
  await eventually(async () => await page.textContent("#keys-state") === text || undefined);
}

function pathOf(program: string): string {
  const { stdout } = new Deno.Command("sh", { args: ["-c", `command -v ${program}`] }).outputSync();
  return new TextDecoder().decode(stdout).trim();
}

// The two below run in the browser.

function textsOf(elements: readonly { textContent: string | null }[]): (string | null)[] {
  return elements.map(({ textContent }) => textContent);
}

/** How many pixels of a canvas something is drawn on. */
// deno-lint-ignore no-explicit-any
function inkOf(canvas: any): number {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let ink = 0;
  for (let i = 3; i < data.length; i += 4) if (data[i] > 0) ink++;
  return ink;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
