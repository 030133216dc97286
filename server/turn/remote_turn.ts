/**
 * The turns of a server whose table lives elsewhere. Lines that arrive are gathered into batches; while
 * one is on its way to the engine, the next one gathers, so that batches grow with the engine's latency.
 *
 * Where more are waiting than one transaction takes, several batches are on their way at a time. They may
 * get in each other's way like those of different servers, and then fewer are.
 *
 * @module
 */

import type { EtcdTable } from "../../tables/etcd/etcd_table.ts";
import { Memory } from "../../tables/text.ts";
import { Line } from "../input/line.ts";
import type { Lines } from "../input/lines.ts";
import { Splitter } from "../input/splitter.ts";
import type { Metrics } from "../metrics.ts";
import { type Arrival, Batch, type RemoteMember } from "./batch.ts";
import { Chunk, endOfLine, lineAfter } from "./chunk.ts";
import type { Member } from "./turn.ts";

/** With more lines waiting than this, the next batch begins before the one before it has ended. */
const FULL_LINES = 128;
/** How many lines to gather in a batch at most: many may name the same few keys. */
const BATCH_LINES_MAX = 4_096;
/** How many batches may be on their way at a time. */
const BATCHES_MAX = 8;
/** After how many batches in a row without a conflict one more may be on its way. */
const CALM_BATCHES = 16;

/** What takes the lines of connections: the turn of an embedded table, or of one that lives elsewhere. */
export interface TurnLike {
  /** Answers lines. Resolves with those that it did not take. */
  submit(member: Member & RemoteMember, lines: Lines): Promise<Lines | undefined>;
  /** When a connection may read again after its turn; undefined: at once. */
  next(): Promise<void> | undefined;
}

/** The turns of a server, some at a time. */
export class RemoteTurn implements TurnLike {
  readonly #table: EtcdTable;
  readonly #metrics: Metrics;
  readonly #timeout: number;
  readonly #splitter = new Splitter();
  readonly #chunk = new Chunk();
  #arrivals: Arrival[] = [];
  #waitingLines = 0;
  /** How many of them have found no place in an earlier batch. */
  #unplaced = 0;
  #isGathering = false;
  #batches = 0;
  #batchesMax = BATCHES_MAX;
  #calmBatches = 0;

  /** `timeout` is how long the engine may take for a turn, in milliseconds. */
  constructor(
    { table, metrics, timeout }: { table: EtcdTable; metrics: Metrics; timeout: number },
  ) {
    this.#table = table;
    this.#metrics = metrics;
    this.#timeout = timeout;
  }

  /** Answers the lines of a connection. Resolves with those that found no place in the turn. */
  submit(member: RemoteMember, lines: Lines): Promise<Lines | undefined> {
    return new Promise((resolve) => {
      this.#arrivals.push({ member, lines, arrivedAt: performance.now(), resolve });
      this.#waitingLines += lines.count;
      // Later, so that the connections whose bytes came in the same turn of the event loop submit first.
      queueMicrotask(() => this.#gather());
    });
  }

  /** A connection may read again at once: turns take connections in the order in which they come. */
  next(): undefined {
    return undefined;
  }

  async #gather(): Promise<void> {
    if (this.#isGathering) return;
    this.#isGathering = true;
    while (this.#mayBegin) {
      this.#batches++;
      const batch = await this.#fill();
      batch.serve().finally(() => {
        this.#batches--;
        if (++this.#calmBatches >= CALM_BATCHES && this.#batchesMax < BATCHES_MAX) {
          this.#batchesMax++;
          this.#calmBatches = 0;
        }
        this.#gather();
      });
    }
    this.#isGathering = false;
  }

  get #mayBegin(): boolean {
    if (this.#batches === 0) return this.#arrivals.length > 0;
    if (this.#batches >= this.#batchesMax) return false;
    return this.#unplaced > 0 || this.#waitingLines >= FULL_LINES;
  }

  async #fill(): Promise<Batch> {
    const waitedMs = performance.now() - this.#arrivals[0]!.arrivedAt;
    const batch = new Batch({
      table: this.#table,
      metrics: this.#metrics,
      // Who has waited long is answered soon, but not without a try.
      deadline: Date.now() + Math.max(this.#timeout - waitedMs, this.#timeout / 4),
      onConflict: () => {
        this.#batchesMax = 1;
        this.#calmBatches = 0;
      },
      onUnplaced: (arrival) => this.#takeBack(arrival),
    });
    this.#unplaced = 0;
    for (let lines = 0; this.#arrivals.length > 0 && !batch.isFull && lines < BATCH_LINES_MAX;) {
      const arrival = this.#arrivals.shift()!;
      this.#waitingLines -= arrival.lines.count;
      lines += arrival.lines.count;
      await this.#add(batch, arrival);
    }
    return batch;
  }

  /** Who found no place is the first of the next batch, which need not wait for this one. */
  #takeBack(arrival: Arrival): void {
    this.#arrivals.unshift(arrival);
    this.#waitingLines += arrival.lines.count;
    this.#unplaced++;
  }

  /** Adds the lines of a connection, as many as find a place. */
  async #add(batch: Batch, arrival: Arrival): Promise<void> {
    const chunk = this.#chunk;
    chunk.load([arrival]);
    const texts = await this.#splitter.split(chunk.text, chunk.count);
    batch.addArrival(arrival);
    const { isPrintable, faults } = arrival.lines;
    // Where the connection has them: they stay there until they are answered, and the chunk does not.
    const memory = new Memory(arrival.lines.bytes);
    let from = 0;
    for (const [taken, text] of texts.entries()) {
      const end = isPrintable ? from + text.length : endOfLine(memory, from);
      const next = lineAfter(memory, end);
      const fault = faults?.get(taken);
      const line = new Line(text, { memory, start: from, end, isPrintable, fault });
      if (!await batch.add(line, { taken, from, next })) break;
      from = next;
    }
    batch.endArrival();
  }
}
