/**
 * What `--help` says of the server.
 *
 * @module
 */

import { type Option, OPTIONS } from "./settings.ts";

/** The help text. */
export function helpText(): string {
  const rows = Object.entries<Option>(OPTIONS).map(([name, { hint, preset, help }]) => {
    const flag = `--${name}${hint === undefined ? "" : ` ${hint}`}`;
    return `  ${flag.padEnd(26)}${help}${preset === undefined ? "" : ` [${preset}]`}`;
  });
  return `Keyline: a key-value server that you can telnet to

Usage: deno task start [options]

Options, with their defaults:
${rows.join("\n")}

Every option except help and version can be set in the environment as well: --max-line is
KEYLINE_MAX_LINE. A flag takes precedence. KEYLINE_PASSWORD sets the password for AUTH.
`;
}
