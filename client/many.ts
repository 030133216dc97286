/**
 * Many keys in one call: the requests go out in windows, so that there may be any number of them.
 *
 * @module
 */

/** How many requests of one call are in flight at a time. */
const WINDOW = 1_000;
/** How many characters one call has in flight at a time, give or take one entry. */
const WINDOW_SIZE = 4_194_304;

/** Returns the value that `get` gives for each key, in order. Throws the first error. */
export async function getEach(
  keys: Iterable<string>,
  get: (key: string) => Promise<string | undefined>,
): Promise<(string | undefined)[]> {
  const values: (string | undefined)[] = [];
  let pending: Promise<string | undefined>[] = [];
  const finish = async () => {
    for (const value of await Promise.all(pending)) values.push(value);
    pending = [];
  };
  for (const key of keys) {
    if (pending.push(get(key)) >= WINDOW) await finish();
  }
  await finish();
  return values;
}

/** Gives each entry to `put`. Throws the first error once nothing is in flight any more. */
export async function putEach(
  entries: Iterable<readonly [key: string, value: string]>,
  put: (key: string, value: string) => Promise<void>,
): Promise<void> {
  let pending: Promise<void>[] = [];
  let size = 0;
  const finish = async () => {
    const results = await Promise.allSettled(pending);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    pending = [];
    size = 0;
  };
  for (const [key, value] of entries) {
    size += key.length + value.length;
    if (pending.push(put(key, value)) >= WINDOW || size >= WINDOW_SIZE) {
      await finish();
    }
  }
  await finish();
}
