/**
 * Chooses the subcommand of Keyline to run: the server, or one of the tools. Run it with `deno task start`;
 * `--help` shows the options.
 *
 * @module
 */

import config from "./deno.json" with { type: "json" };
import { logFailedStart } from "./server/observe/event_log.ts";
import { BadCommandError } from "./server/dispatch/registry.ts";
import { printedSettings } from "./server/settings/printed_settings.ts";
import { serve } from "./server/server.ts";
import { HELP, readSettings, StartError, UsageError } from "./server/settings/settings.ts";
import { unknownVariables } from "./server/settings/variables.ts";
import { OpenError } from "./tables/durable/errors.ts";
import { findSubcommand, SUBCOMMANDS_HELP } from "./tools/subcommands.ts";

/** Deno's advice for paths such as /proc, which contradicts ours: no start of Keyline needs that flag. */
const DENO_ADVICE = /Requires all access to ("[^"]*"), run again with the --allow-all flag/;

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    const { code, text } = describe(error);
    logFailedStart(text);
    Deno.exit(code);
  }
}

async function main(): Promise<void> {
  const { run, args } = findSubcommand(Deno.args);
  if (run !== undefined) {
    Deno.exitCode = await run(args);
    return;
  }
  const environment = (name: string) => Deno.env.get(name);
  const settings = readSettings(args, environment);
  if (settings.help) return console.log(HELP + SUBCOMMANDS_HELP);
  if (settings.version) return console.log(`keyline ${config.version} (deno ${Deno.version.deno})`);
  if (settings.printSettings) {
    for (const unknown of unknownVariables(Deno.env.toObject())) console.error(unknown);
    return console.log(printedSettings(args, environment));
  }
  const { adminPort } = settings;
  const openAdmin = adminPort === undefined ? undefined : (await loadAdmin()).openAdminServer;
  await serve(settings, { version: config.version, openAdmin });
}

/**
 * Loads the admin server. Its path is computed, because with a literal one, Deno would look for its packages
 * at every start, even if they are not needed.
 */
function loadAdmin(): Promise<typeof import("./admin/server.ts")> {
  return import(new URL("./admin/server.ts", import.meta.url).href);
}

/** What to tell the user about an error that ended the start, and the exit code. */
function describe(error: unknown): { code: number; text: string } {
  const isExpected = [UsageError, StartError, OpenError, BadCommandError].some((expected) =>
    error instanceof expected
  );
  const message = (error instanceof Error ? error.message : String(error))
    .replace(DENO_ADVICE, "$1 belongs to the system");
  const why = isExpected ? message : `Cannot start: ${message}`;
  const mend = error instanceof Deno.errors.NotCapable ? ". Start it with: deno task start" : "";
  return { code: error instanceof UsageError ? 2 : 1, text: `Keyline: ${why}${mend}` };
}
