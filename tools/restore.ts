/**
 * Restore: turns a backup into a data folder, for a server to start on. Run it with `deno task restore FILE`,
 * or as `keyline restore FILE`.
 *
 * @module
 */

import process from "node:process";
import { restore } from "../tables/durable/copy.ts";
import { INTERRUPTED, program, type Run } from "./program.ts";
import { counted, Meter, QUIET_FLAG } from "./progress.ts";
import { DATA_FLAG, runSteps } from "./table_work.ts";

/** Restores a backup; returns the exit code. */
export const runRestore: Run = program({
  name: "restore",
  about: "make a folder of a backup, for a server to start on",
  usage: ["keyline restore FILE [options]"],
  flags: {
    data: { ...DATA_FLAG, help: "folder to make, which is empty or not there" },
    quiet: QUIET_FLAG,
  },
  operands: ["FILE"],
  async run({ data, quiet }, [file]) {
    using meter = new Meter({ unit: "keys", quiet });
    const copied = await runSteps(restore(file!, data), meter);
    if (copied === undefined) return INTERRUPTED;
    const keys = counted(copied.keys, "key");
    if (!quiet) meter.note(`Restored ${keys} from ${file} to ${data}`);
    return 0;
  },
});

if (import.meta.main) process.exitCode = await runRestore(process.argv.slice(2));
