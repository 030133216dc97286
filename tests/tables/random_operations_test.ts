/**
 * Random operations do to each table what they do to the model, a Map.
 *
 * `KEYLINE_FUZZ_RUNS` sets how many sequences of operations to try, `KEYLINE_FUZZ_SEED` repeats a run.
 *
 * @module
 */

import { numberFrom, testWith } from "../support/harness.ts";
import { checkRandomOperations } from "../support/random_operations.ts";
import { permissionsOf, REAL_TABLES } from "../support/table_model.ts";

for (const kind of REAL_TABLES) {
  testWith(
    permissionsOf(kind),
    `${kind.name}: random operations have the same effect as on a Map`,
    () => {
      checkRandomOperations(kind, { numRuns: numberFrom("KEYLINE_FUZZ_RUNS", 40) });
    },
  );
}
