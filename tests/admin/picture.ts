/**
 * Makes the pictures of the live page that the README and docs/service.md show, in light and in dark. It
 * starts a server with clients whose load rises and falls, and takes them after two minutes. Run it with
 * `deno task picture`; it needs Chromium.
 *
 * @module
 */

import { connect } from "../../client/client.ts";
import { ROOT } from "../support/harness.ts";
import { ProjectCopy } from "../support/project_copy.ts";
import { delay } from "../support/waiting.ts";
import { AdminServer } from "./admin_server.ts";
import { launchBrowser } from "./browser.ts";

/** As much as the page shows unasked. */
const LOAD_MS = 125_000;
const CLIENTS_MAX = 18;
const SESSIONS = 60_000;
const NAMES = ["ann", "ben", "cleo", "dan", "eva"];
/** Wide enough for the charts side by side. */
const VIEWPORT = { width: 1_280, height: 900 };
const FILES = { light: "docs/live-page.png", dark: "docs/live-page-dark.png" } as const;

/** How busy things are, from 0 to 1, after so many milliseconds. */
function busyness(ms: number): number {
  return 0.55 - 0.45 * Math.cos(ms / 12_000) * Math.cos(ms / 47_000);
}

using project = new ProjectCopy();
// As a server has it that is started without options.
await using server = await AdminServer.start({
  root: project.root,
  data: "data",
  env: { KEYLINE_SLOW: "10" },
});
const browser = await launchBrowser();
try {
  await load(server.process.port);
  for (const [colorScheme, file] of Object.entries(FILES)) {
    const page = await browser.newPage({
      viewport: VIEWPORT,
      colorScheme: colorScheme as keyof typeof FILES,
    });
    await page.goto(server.url);
    await page.waitForSelector("#charts canvas");
    await page.fill("#prefix", "vis");
    await page.press("#prefix", "Enter");
    await page.waitForSelector("#keys-state >> text=1 key");
    await page.click("#keys button");
    await page.waitForSelector("#entry:not([hidden])");
    await page.mouse.move(0, 0);
    await page.screenshot({ path: new URL(file, ROOT).pathname, fullPage: true });
    console.log(file);
  }
} finally {
  await browser.close();
}

/** Has clients come and go, and ask more and less. The last ones stay for the pictures. */
async function load(port: number): Promise<void> {
  const startedAt = performance.now();
  const rise = () => busyness(performance.now() - startedAt);
  for (let i = 0; i < CLIENTS_MAX; i++) {
    void (async () => {
      for (;;) {
        // Each has a threshold of its own.
        if (rise() * CLIENTS_MAX > i) await work(port, () => rise() * CLIENTS_MAX > i - 2, rise);
        await delay(500);
      }
    })().catch(() => {}); // The server has ended.
  }
  await delay(LOAD_MS);
}

/** One client, for as long as it is wanted. */
async function work(port: number, isWanted: () => boolean, rise: () => number): Promise<void> {
  await using db = await connect({ hostname: "127.0.0.1", port });
  while (isWanted()) {
    const many = Math.ceil(8 + 40 * rise() * Math.random());
    await Promise.all(Array.from({ length: many }, () => {
      const n = Math.floor(Math.random() * SESSIONS);
      const key = `session:${n.toString(16).padStart(4, "0")}`;
      const kind = Math.random();
      if (kind < 0.75) return db.get(key);
      if (kind < 0.9) return db.put(key, `user=${NAMES[n % NAMES.length]} cart=${n % 5}`);
      return kind < 0.97 ? db.incr("visits") : db.expire(key, 3_600);
    }));
    await delay(20 + 60 * Math.random());
  }
}
