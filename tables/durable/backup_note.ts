/**
 * Notes in a data folder when it was backed up, so that monitoring shows when backups stop.
 *
 * @module
 */

import { openDataFile } from "./data_folder.ts";
import { removeFile } from "./new_file.ts";

/** The name of the note. The time of its last change is that of the last backup. */
export const BACKUP_NOTE = "keyline.backup";

/** Notes a complete and verified backup. Throws errors of the system. */
export function noteBackup(folder: string, { path, madeAt }: { path: string; madeAt: Date }): void {
  const note = `${folder}/${BACKUP_NOTE}`;
  // Another user may have made the last one.
  removeFile(note);
  using file = openDataFile(note);
  file.writeSync(new TextEncoder().encode(`${madeAt.toISOString()} to ${path}\n`));
  file.utimeSync(madeAt, madeAt);
}
