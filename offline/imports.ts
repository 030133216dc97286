/**
 * Chooses where `@std/streams` and `@std/assert` come from: JSR, or the stand-ins beside this file. Tasks run
 * it first, and pass its output to Deno as a flag.
 *
 * @module
 */

/** How long JSR may take, in milliseconds. A network may swallow what is sent to it. */
const JSR_MS = 5_000;
/** Stands where JSR could not be used, so that it is asked once. */
const AWAY = new URL("../.jsr_away", import.meta.url);

if (import.meta.main) {
  if (isAway() || !await isCached()) {
    console.error(
      "JSR can't be reached: using the stand-ins in offline/, until you remove .jsr_away",
    );
    console.log("--import-map=offline/import_map.json");
  }
  // Whatever still waits for an answer must not keep the start waiting.
  Deno.exit();
}

/** Whether Deno has what the server needs of JSR, at the version and with the checksum of the lock file. */
async function isCached(): Promise<boolean> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  setTimeout(() => reject(new Error("no answer")), JSR_MS);
  try {
    // A name that is computed: what stands here as it is would be fetched before this program runs.
    await Promise.race([late, import(["@std/streams", "text-line-stream"].join("/"))]);
    return true;
  } catch (error) {
    remember(String(error));
    return false;
  }
}

function isAway(): boolean {
  try {
    return Deno.statSync(AWAY).isFile;
  } catch {
    return false;
  }
}

function remember(why: string): void {
  try {
    Deno.writeTextFileSync(AWAY, `${why}\n`);
  } catch {
    // If the folder belongs to another user, JSR is asked at each start.
  }
}
