/**
 * Chromium, for what looks at the live page: its tests, and the task that takes its picture.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Browser, Page } from "npm:playwright-core@1.65.1";
import { AdminServer } from "./admin_server.ts";

/** What a test of the page works with. */
export interface Bench {
  /** The server of the page. */
  readonly server: AdminServer;
  /** Opens the page. */
  open(options?: Parameters<Browser["newPage"]>[0]): Promise<Page>;
}

/** Defines a test that has a browser, and fails where the page logs an error or breaks its own policy. */
export function pageTest(
  name: string,
  run: (bench: Bench) => Promise<void>,
  { env = {}, prepare }: {
    env?: Record<string, string>;
    /** Called with each page before it loads. */
    prepare?: (page: Page) => Promise<void>;
  } = {},
): void {
  Deno.test(name, async () => {
    await using server = await AdminServer.start({ env });
    const browser = await launchBrowser();
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
          await prepare?.(page);
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

/** Starts the Chromium of this machine. */
export async function launchBrowser(): Promise<Browser> {
  const { chromium } = await import("npm:playwright-core@1.65.1");
  // A sandbox of its own is not to be had where everything runs as root, as in containers.
  const args = ["--no-sandbox", "--disable-gpu"];
  return await chromium.launch({ executablePath: pathOf("chromium"), args });
}

/** The texts of all elements that a selector finds. */
export function textsOf(page: Page, selector: string): Promise<string[]> {
  return page.locator(selector).allTextContents();
}

function pathOf(program: string): string {
  const { stdout } = new Deno.Command("sh", { args: ["-c", `command -v ${program}`] }).outputSync();
  return new TextDecoder().decode(stdout).trim();
}
