/**
 * Reads the files that settings name: certificates, keys, the password. Only the start can read them, and
 * SIGHUP a certificate.
 *
 * @module
 */

import { UsageError } from "./settings.ts";

/** The text of a file. Throws UsageError, which calls the file `name`. */
export function readSettingFile(file: string, name: string = file): string {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    throw new UsageError(`Cannot read ${name}: ${(error as Error).message}`);
  }
}
