/**
 * Ends the process cleanly on Ctrl-C or SIGTERM, and keeps SIGHUP from ending it. The server registers the
 * handlers before it listens, so that no signal comes too early.
 *
 * @module
 */

/** The signals that end the server, each with the exit code of a second one. */
const END_SIGNALS = [["SIGINT", 130], ["SIGTERM", 143]] as const;
/** Ctrl-C under `deno task` arrives twice at once: a second signal counts after this, in milliseconds. */
const SECOND_SIGNAL_MS = 500;

/** Calls `end` on the first signal, then exits with 0; exits at once on the second. */
export function endOnSignals(end: () => Promise<void>): void {
  let firstAt: number | undefined;
  for (const [signal, code] of END_SIGNALS) {
    Deno.addSignalListener(signal, async () => {
      if (firstAt !== undefined) {
        if (performance.now() - firstAt > SECOND_SIGNAL_MS) Deno.exit(code);
        return;
      }
      firstAt = performance.now();
      await end();
      Deno.exit(0);
    });
  }
}

/** Calls a function on SIGHUP, which would otherwise end the process at once; on Windows it still does. */
export function onHangUp(fn: () => void): void {
  Deno.addSignalListener("SIGHUP", fn);
}
