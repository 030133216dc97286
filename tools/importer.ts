/**
 * Stores what a source has, through a client, one batch while the next is read, and keeps account:
 * what is stored, what has ended, what is wrong, and up to where it is done.
 *
 * @module
 */

import { BadRequestError, type Client, KeylineError } from "../client/client.ts";
import type { Meter } from "./progress.ts";
import type { Entry } from "./record.ts";
import type { Batch, Item, Source } from "./source.ts";

/** How to import. */
export interface ImportOptions {
  /** Whether to go on behind what can't be stored. */
  readonly goesOn: boolean;
  /** Stops the import; what is under way is waited for. */
  readonly signal: AbortSignal;
  /** Shows how far it is. */
  readonly meter: Meter;
}

/** What came of an import. */
export interface Account {
  /** How many entries are stored. */
  stored: number;
  /** How many had ended before they came here, and so are not stored. */
  ended: number;
  /** How many could not be stored, by why. */
  readonly faults: Map<string, number>;
  /** The place up to which all is done; what comes later may be, too. */
  donePlace: number;
  /** What stopped it, and where; undefined where nothing did. */
  stopped: { readonly place: number; readonly why: string; readonly isItem: boolean } | undefined;
}

/** What can't be stored is named up to this number, and then counted only. */
const NAMED_MAX = 100;

/** Stores all that a source has. Throws what the source throws. */
export async function importAll(
  db: Client,
  source: Source,
  options: ImportOptions,
): Promise<Account> {
  const importer = new Importer(db, source, options);
  let before: Promise<void> = Promise.resolve();
  try {
    for await (const batch of source.batches(options.signal)) {
      const stored = importer.store(batch);
      await before;
      before = stored;
      if (options.signal.aborted || importer.account.stopped !== undefined) break;
    }
  } finally {
    await before;
  }
  return importer.account;
}

class Importer {
  readonly account: Account = {
    stored: 0,
    ended: 0,
    faults: new Map(),
    donePlace: 0,
    stopped: undefined,
  };
  readonly #db: Client;
  readonly #unit: Source["unit"];
  readonly #options: ImportOptions;
  #named = 0;

  constructor(db: Client, { unit }: Source, options: ImportOptions) {
    this.#db = db;
    this.#unit = unit;
    this.#options = options;
  }

  /** Stores a batch; fulfilled when every reply is there. It never throws: the account has it all. */
  async store({ items, fraction }: Batch): Promise<void> {
    const { account } = this;
    if (account.stopped !== undefined) return;
    const under: Promise<void>[] = [];
    let last = 0;
    for (const item of items) {
      if (account.stopped !== undefined) break;
      last = item.place;
      if (item.entry === undefined) this.#refuse(item, item.fault ?? "it is nothing to store");
      else under.push(this.#put(item, item.entry));
    }
    await Promise.all(under);
    if (account.stopped === undefined) account.donePlace = Math.max(account.donePlace, last);
    this.#options.meter.fraction = fraction;
  }

  #put(item: Item, { key, value, expiresAt }: Entry): Promise<void> {
    // To store the same again changes nothing, so a lost reply is no reason to stop.
    const retry = { retry: true };
    if (expiresAt === undefined) {
      return this.#db.put(key, value, retry).then(
        this.#onStored,
        (error) => this.#failed(item, error),
      );
    }
    const seconds = (expiresAt - Date.now()) / 1_000;
    if (seconds < 0.001) {
      this.account.ended++;
      return Promise.resolve();
    }
    return this.#db.put(key, value, { ...retry, ttl: seconds })
      .then(this.#onStored, (error) => this.#failed(item, error));
  }

  readonly #onStored = (): void => {
    this.account.stored++;
    this.#options.meter.done++;
  };

  /** A request failed: the fault of the item where the server says so, or the end. */
  #failed(item: Item, error: unknown): void {
    if (!(error instanceof KeylineError)) throw error;
    if (error instanceof BadRequestError) {
      this.#refuse(item, `the server refused it: ${error.text}`);
    } else {
      this.#stop(item, { why: error.message, isItem: false });
    }
  }

  #refuse(item: Item, why: string): void {
    const { faults } = this.account;
    const { goesOn, meter } = this.#options;
    if (!goesOn) return this.#stop(item, { why, isItem: true });
    faults.set(why, (faults.get(why) ?? 0) + 1);
    this.#named++;
    if (this.#named <= NAMED_MAX) meter.note(`Left out ${this.nameOf(item)}: ${why}`);
    if (this.#named === NAMED_MAX) meter.note("More that are left out are counted, not named.");
  }

  /** The first item that stops it counts, whatever the order of the replies. */
  #stop({ place }: Item, { why, isItem }: { why: string; isItem: boolean }): void {
    const { account } = this;
    if (account.stopped !== undefined && account.stopped.place <= place) return;
    account.stopped = { place, why, isItem };
    account.donePlace = place - 1;
  }

  /** What to call an item in a line for a person. */
  nameOf(item: Item): string {
    if (this.#unit === "line") return `line ${item.place}`;
    return JSON.stringify(item.key ?? item.entry?.key ?? "");
  }
}
