/**
 * How much is asked for at a time: less after what did not come, and more again.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { PageSize } from "../../../tables/etcd/page_size.ts";

Deno.test("a page that does not come makes the next one half as large, down to 1", () => {
  const page = new PageSize(8);
  assertEquals([8, 4, 2, 1, 1].map(() => page.ask()), [8, 4, 2, 1, 1]);
});

Deno.test("whole pages make the next ones larger, up to the largest", () => {
  const page = new PageSize(1_000);
  assertEquals([page.ask(), page.ask()], [1_000, 500]);
  page.came(false);
  assertEquals(page.ask(), 500, "what there was says nothing of a whole page");
  const sizes: number[] = [];
  for (let i = 0; i < 20; i++) {
    page.came(true);
    sizes.push(page.ask());
  }
  assert(sizes.every((size, i) => size > (sizes[i - 1] ?? 500) || size === 1_000), `${sizes}`);
  assertEquals(sizes.at(-1), 1_000);
});
