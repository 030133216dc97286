/**
 * Reads the files that settings name: certificates, keys and passwords. They are read at the start; SIGHUP
 * reads those for TLS and passwords again.
 *
 * @module
 */

import { UsageError } from "./flags.ts";

/** The largest file that a setting may name, in bytes; a chain of certificates has some thousands. */
const FILE_BYTES_MAX = 1_048_576;
/** The byte order mark (U+FEFF), which some editors put before UTF-8 text. Nobody types it. */
const BYTE_ORDER_MARK = "\ufeff";

/** The text of a file. Throws UsageError, which calls the file `name`, also if it is not plain UTF-8. */
export function readSettingFile(file: string, name: string = file): string {
  return textOf(readBytes(file, name), name);
}

/** The first line of such a file, without its end. Throws UsageError, as `readSettingFile`. */
export function readFirstLine(file: string, name: string): string {
  return readSettingFile(file, name).split(/\r?\n/, 1)[0]!;
}

function readBytes(file: string, name: string): Uint8Array {
  const bytes = new Uint8Array(FILE_BYTES_MAX + 1);
  let length = 0;
  try {
    using opened = Deno.openSync(file);
    for (let read; (read = opened.readSync(bytes.subarray(length))); length += read);
  } catch (error) {
    throw new UsageError(`Cannot read ${name}: ${(error as Error).message}`);
  }
  if (length <= FILE_BYTES_MAX) return bytes.subarray(0, length);
  throw new UsageError(`Cannot use ${name}: it has more than ${FILE_BYTES_MAX} bytes.`);
}

/** Invalid UTF-8 must not become replacement characters, which anybody can type. */
function textOf(bytes: Uint8Array, name: string): string {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new UsageError(`Cannot use ${name}: it is not UTF-8. Save it as UTF-8.`);
  }
  if (!text.startsWith(BYTE_ORDER_MARK)) return text;
  throw new UsageError(
    `Cannot use ${name}: it begins with a byte order mark. Save it as UTF-8 without one.`,
  );
}
