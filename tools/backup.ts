/**
 * Backup: copies the table in a folder to a new file, even while a server has it open. Run it with `deno task
 * backup FILE`, or as `keyline backup FILE`.
 *
 * @module
 */

import process from "node:process";
import { noteBackup } from "../tables/durable/backup_note.ts";
import { backUp } from "../tables/durable/copy.ts";
import { messageOf } from "../tables/durable/errors.ts";
import { INTERRUPTED, program, type Run } from "./program.ts";
import { counted, grouped, Meter, QUIET_FLAG } from "./progress.ts";
import { DATA_FLAG, runSteps } from "./table_work.ts";

/** Makes a backup; returns the exit code. */
export const runBackup: Run = program({
  name: "backup",
  about: "copy the table to a new file, even while the server runs",
  usage: ["keyline backup FILE [options]"],
  flags: { data: DATA_FLAG, quiet: QUIET_FLAG },
  operands: ["FILE"],
  async run({ data, quiet }, [file]) {
    using meter = new Meter({ unit: "keys", quiet });
    const madeAt = new Date();
    const copied = await runSteps(backUp(data, file!), meter);
    if (copied === undefined) return INTERRUPTED;
    try {
      noteBackup(data, { path: file!, madeAt });
    } catch (error) {
      meter.note(`Cannot note the backup in ${data}, for the metrics: ${messageOf(error)}`);
    }
    const what = `${counted(copied.keys, "key")} (${grouped(copied.bytes)} bytes)`;
    if (!quiet) meter.note(`Copied ${what} from ${data} to ${file}, and read it back`);
    return 0;
  },
});

if (import.meta.main) process.exitCode = await runBackup(process.argv.slice(2));
