/**
 * KEYS: keys in order, page by page.
 *
 * @module
 */

import keys from "../../commands/keys.ts";
import put from "../../commands/put.ts";
import { times } from "../support/protocol_case.ts";
import { testOperation } from "../support/protocol_suite.ts";

testOperation({ keys, put }, [
  {
    name: "KEYS of an empty table lists nothing",
    send: ["KEYS"],
    expect: ["200 OK 0"],
  },
  {
    name: "KEYS lists all keys in code-point order, and says how many there are",
    send: ["PUT b 1", "PUT a 1", "PUT B 1", "PUT é 1", "PUT \u{1f5dd} 1", "PUT \uffee 1", "KEYS"],
    expect: [
      ...times(6, "200 OK"),
      "200-B",
      "200-a",
      "200-b",
      "200-é",
      "200-\uffee",
      "200-\u{1f5dd}",
      "200 OK 6",
    ],
  },
  {
    name: "KEYS with a prefix lists the keys that start with it",
    send: ["PUT user:1 a", "PUT user:2 b", "PUT user 1", "PUT uses 1", "KEYS user:", "KEYS x"],
    expect: [...times(4, "200 OK"), "200-user:1", "200-user:2", "200 OK 2", "200 OK 0"],
  },
  {
    name: "KEYS with a second argument lists the keys that come after it",
    send: ["PUT k1 a", "PUT k2 b", "PUT k3 c", "KEYS k k1", "KEYS k k15", "KEYS k k3"],
    expect: [
      ...times(3, "200 OK"),
      ...["200-k2", "200-k3", "200 OK 2"],
      ...["200-k2", "200-k3", "200 OK 2"],
      "200 OK 0",
    ],
  },
  {
    name: "KEYS with the prefix * pages through all keys, whatever they start with",
    send: ["PUT a 1", "PUT b 2", "PUT *c 3", "KEYS *", "KEYS * a"],
    expect: [
      ...times(3, "200 OK"),
      ...["200-*c", "200-a", "200-b", "200 OK 3"],
      ...["200-b", "200 OK 1"],
    ],
  },
]);
