/**
 * What a turn over PostgreSQL reads for the requests of its clients.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { View } from "../../../tables/postgres/view.ts";
import { Text } from "../../../tables/text.ts";

/** Notes requests of a client, and returns which of them are likely to find a place. */
function placesOf(view: View, client: object, requests: readonly string[]): boolean[] {
  return requests.map((request) => {
    const [verb, key] = request.split(" ");
    const changes = verb === "PUT";
    return view.want(Text.of(key!), { client, needsValue: !changes, changes });
  });
}

Deno.test("nothing is read for a request that waits for the next turn", () => {
  const view = new View({ location: "", stats: () => ({}) });
  const [mixed, reading] = [{}, {}];
  // It reads what the turn changes, and then what it does not.
  const requests = ["GET a", "PUT b 1", "PUT c 1", "GET b", "GET d"];
  assertEquals(placesOf(view, mixed, requests), [true, true, true, true, false]);
  assertEquals(placesOf(view, reading, ["GET e"]), [true]);
  const { read, found } = view.takeWanted();
  assertEquals([read, found], [["a", "b", "e"], ["c"]]);
  view.finish();
  assertEquals(placesOf(view, mixed, ["GET d"]), [true]);
});
