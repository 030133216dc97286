/**
 * The error for anything under a table's prefix in etcd that Keyline has not written.
 *
 * @module
 */

import { TableError } from "../table.ts";

/** Another program has written there. */
export function foreign(): TableError {
  return new TableError("another program has written to the table");
}
