/**
 * Stores the entries of a source through a client, several batches at a time, and keeps account of what was
 * stored, what had expired, what can't be stored, and up to which line everything is done.
 *
 * @module
 */

import { ArgumentError, BadRequestError, type Client, KeylineError } from "../client/client.ts";
import type { Meter } from "./progress.ts";
import type { PortableEntry } from "./export_line.ts";
import { BATCH_SIZE, type Item, type ItemBatch, type Source } from "./source.ts";

/** How to import. */
export interface ImportOptions {
  /** Whether to leave out what can't be stored; otherwise it stops the import. */
  readonly goesOn: boolean;
  /** Stops the import once the requests in flight are answered. */
  readonly signal: AbortSignal;
  /** Shows the progress. */
  readonly meter: Meter;
}

/** The outcome of an import. */
export interface Account {
  /** How many entries are stored. */
  stored: number;
  /** How many had expired, so that there was nothing to store. */
  expired: number;
  /** How many could not be stored, by reason. */
  readonly faults: Map<string, number>;
  /** The position up to which everything is done; later items may be done, too. */
  donePlace: number;
  /** What stopped the import; undefined if nothing did. */
  stopped: Stop | undefined;
}

/** What stopped an import, and where. */
export interface Stop {
  /** The position of the item. */
  readonly place: number;
  /** The reason. */
  readonly why: string;
  /** Whether the item itself is wrong, so that it has to be left out to continue. */
  readonly isItem: boolean;
}

/** How many batches are in flight at a time, and how many characters, give or take a batch. */
const BATCHES_MAX = 4;
const IN_FLIGHT_SIZE = BATCHES_MAX * BATCH_SIZE;
/** How many items that can't be stored are named; further ones are only counted. */
const NAMED_MAX = 100;
/** How many reasons to tell apart. */
const REASONS_MAX = 100;
/** How much of a key or of a reason is shown, in characters. */
const SHOWN_MAX = 300;
/** Storing the same value again changes nothing, so a lost reply is no reason to stop. */
const RETRY = { retry: true };
/** The shortest and the longest time to live that the protocol takes, in milliseconds. */
const TTL_MS = { min: 1, max: 999_999_999_999_000 };

/** Stores all entries of a source. Throws what the source throws. */
export async function importAll(
  db: Client,
  source: Source,
  options: ImportOptions,
): Promise<Account> {
  const importer = new Importer(db, source, options);
  const inFlight: { work: Promise<void>; size: number }[] = [];
  let size = 0;
  try {
    for await (const batch of source.batches(options.signal)) {
      const one = { work: importer.store(batch), size: sizeOf(batch) };
      inFlight.push(one);
      size += one.size;
      while (inFlight.length >= BATCHES_MAX || size >= IN_FLIGHT_SIZE) {
        const oldest = inFlight.shift()!;
        await oldest.work;
        size -= oldest.size;
      }
      if (options.signal.aborted || importer.account.stopped !== undefined) break;
    }
  } finally {
    await Promise.all(inFlight.map(({ work }) => work));
  }
  return importer.account;
}

function sizeOf({ items }: ItemBatch): number {
  return items.reduce((size, { entry }) => size + (entry?.value.length ?? 0), 0);
}

class Importer {
  readonly account: Account = {
    stored: 0,
    expired: 0,
    faults: new Map(),
    donePlace: 0,
    stopped: undefined,
  };
  readonly #db: Client;
  readonly #unit: Source["unit"];
  readonly #options: ImportOptions;
  /** The work in flight on keys that expire. */
  readonly #expiring = new Map<string, Promise<void>>();
  #named = 0;

  constructor(db: Client, { unit }: Source, options: ImportOptions) {
    this.#db = db;
    this.#unit = unit;
    this.#options = options;
  }

  /** Stores a batch. It is fulfilled once every reply is there, whatever the server refused: see `account`. */
  async store({ items, fraction }: ItemBatch): Promise<void> {
    const { account } = this;
    if (account.stopped !== undefined) return;
    const inFlight: Promise<void>[] = [];
    let last = 0;
    for (const item of items) {
      if (account.stopped !== undefined) break;
      last = item.place;
      if (item.entry === undefined) this.#refuse(item, item.fault ?? "there is nothing to store");
      else inFlight.push(this.#inOrder(item, item.entry));
    }
    await Promise.all(inFlight);
    if (account.stopped === undefined) account.donePlace = Math.max(account.donePlace, last);
    this.#options.meter.fraction = fraction;
  }

  /**
   * Stores an entry, after any earlier entry of the same key that expires, whose EXPIRE must not hit this
   * one.
   */
  #inOrder(item: Item, entry: PortableEntry): Promise<void> {
    const { key, expiresAt } = entry;
    const earlier = this.#expiring.get(key);
    if (earlier === undefined && expiresAt === undefined) return this.#put(item, entry);
    const work = (earlier ?? Promise.resolve()).then(() => this.#put(item, entry)).then(() => {
      if (this.#expiring.get(key) === work) this.#expiring.delete(key);
    });
    this.#expiring.set(key, work);
    return work;
  }

  async #put(item: Item, { key, value, expiresAt }: PortableEntry): Promise<void> {
    if (expiresAt !== undefined && expiresAt - Date.now() < TTL_MS.min) {
      this.account.expired++;
      return;
    }
    try {
      await this.#db.put(key, value, RETRY);
      if (expiresAt !== undefined) {
        // The time is taken when EXPIRE is sent, so that PUT's way to the server does not count.
        const left = Math.min(Math.max(expiresAt - Date.now(), TTL_MS.min), TTL_MS.max);
        await this.#db.expire(key, left / 1_000, RETRY);
      }
      this.account.stored++;
      this.#options.meter.done++;
    } catch (error) {
      this.#failed(item, error);
    }
  }

  /** Blames the item if the server refused it; any other error stops the import. */
  #failed(item: Item, error: unknown): void {
    if (!(error instanceof KeylineError)) throw error;
    if (error instanceof BadRequestError) {
      this.#refuse(item, `the server refused it: ${error.text}`);
    } else if (error instanceof ArgumentError) this.#refuse(item, error.message);
    else this.#stop(item, { why: error.message, isItem: false });
  }

  #refuse(item: Item, fault: string): void {
    const { faults } = this.account;
    const why = clipped(fault);
    const { goesOn, meter } = this.#options;
    if (!goesOn) return this.#stop(item, { why, isItem: true });
    const isCounted = faults.has(why) || faults.size < REASONS_MAX;
    const reason = isCounted ? why : "other reasons";
    faults.set(reason, (faults.get(reason) ?? 0) + 1);
    this.#named++;
    if (this.#named <= NAMED_MAX) meter.note(`Left out ${this.#nameOf(item)}: ${why}`);
    if (this.#named === NAMED_MAX) meter.note("From here on, what is left out is only counted.");
  }

  /** Stops at the first item that gives a reason, whatever the order of the replies. */
  #stop({ place }: Item, { why, isItem }: { why: string; isItem: boolean }): void {
    const { account } = this;
    if (account.stopped !== undefined && account.stopped.place <= place) return;
    account.stopped = { place, why, isItem };
    account.donePlace = place - 1;
  }

  #nameOf(item: Item): string {
    if (this.#unit === "line") return `line ${item.place}`;
    return JSON.stringify(clipped(item.key ?? item.entry?.key ?? ""));
  }
}

/** The beginning of a text, as much as fits on a few lines: another server may send any amount. */
function clipped(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}
