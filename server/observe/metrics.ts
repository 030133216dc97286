/**
 * What the server counts: the listener, connections, sessions and the turn count here. The statistics of
 * `stats.ts` are computed from it on demand, so counting costs a request next to nothing.
 *
 * @module
 */

import { MemoryFullError } from "../../tables/memtable/memory_full.ts";
import type { DataFolder } from "../data_folder.ts";
import type { Descriptors } from "../descriptors.ts";
import { Histogram } from "./histogram.ts";
import { SlowRequests } from "./slow_requests.ts";

/** How long the requests of one operation took. */
export class Latency {
  /** From when the lines of a packet join a turn to when its replies leave, in seconds. */
  readonly seconds: Histogram = Histogram.ofSeconds();
  /** How many requests the current turn has answered: they are all counted when it ends. */
  pending = 0;
}

/** How many hosts to count separately between two lines of the log. */
const HOSTS_MAX = 16;

/** Something clients did that an operator may want to know about: how often, and from which hosts. */
export class Incidents {
  /** How often. */
  count = 0;
  /**
   * How often from each host since these were last taken; the empty string stands for all hosts beyond the
   * limit.
   */
  #hosts = new Map<string, number>();

  /** Counts one by a client with this address: host and port. */
  note(address: string | undefined): void {
    this.count++;
    const host = (address ?? "").replace(/:\d+$/, "");
    const name = this.#hosts.has(host) || this.#hosts.size < HOSTS_MAX ? host : "";
    this.#hosts.set(name, (this.#hosts.get(name) ?? 0) + 1);
  }

  /** How often from each host since the last call; empty where none. */
  takeHosts(): ReadonlyMap<string, number> {
    const hosts = this.#hosts;
    if (hosts.size > 0) this.#hosts = new Map();
    return hosts;
  }
}

/** A current alert. */
export interface Alert {
  /** Its name, as docs/service.md lists it. */
  readonly name: string;
  /** Since when, in milliseconds since 1970. */
  readonly since: number;
}

/** Counts since the server started. */
export class Metrics {
  /** The version of the server. */
  readonly version: string;
  /** When counting began, in milliseconds since 1970. */
  readonly startedAt: number;
  /** Connections that are open now. */
  connections = 0;
  /** How many there may be; 0 until known. */
  connectionsMax = 0;
  /** The file descriptors of the process; undefined if unknown. */
  descriptors: Descriptors | undefined;
  /** The folder of the table; undefined if it has none. */
  dataFolder: DataFolder | undefined;
  /** Times that the system had no descriptor or no memory for another connection. */
  acceptFailures = 0;
  /** Connections that have been accepted, without refused ones. */
  connectionsAccepted = 0;
  /** Connections that were refused because there were too many. */
  readonly refusals: Incidents = new Incidents();
  /** Connections that were closed because their clients took too long. */
  readonly timeouts: Incidents = new Incidents();
  /** Wrong passwords, on the port of the lines and on the admin port. */
  readonly wrongPasswords: Incidents = new Incidents();
  /** Bytes that clients have sent, without TLS overhead. */
  bytesReceived = 0;
  /** Bytes of replies that clients have taken, without TLS overhead. */
  bytesSent = 0;
  /** Requests whose verb no operation has. */
  unsupported = 0;
  /** Lines that are not requests: empty, too long, not UTF-8, HTTP. */
  malformed = 0;
  /** How long each commit that wrote something took, in seconds. */
  readonly commitSeconds: Histogram = Histogram.ofSeconds();
  /** Commits that failed. */
  commitsFailed = 0;
  /** Replies that were counted under another code before a failed commit turned them into 500. */
  repliesReplaced = 0;
  /** Changes that were refused because memory was full. */
  memoryRefusals = 0;
  /** The message of the last request or commit that failed. */
  lastFailure: string | undefined;
  /** How many requests each turn answered, which share its commit. */
  readonly turnRequests: Histogram = Histogram.ofRequests();
  /** Whether the server is shutting down. */
  isDraining = false;
  /** How late the event loop was, in seconds: measured only with the admin port open, else empty. */
  readonly loopDelay: Histogram = Histogram.ofSeconds();
  /** The current alerts, in the order of docs/service.md. */
  alerts: readonly Alert[] = [];
  /** The requests that held up the server. */
  readonly slow: SlowRequests;
  /** The operations that the current turn has answered. */
  readonly #inTurn: Latency[] = [];

  /** `startedAt` is in milliseconds since 1970; requests longer than `slowMs` milliseconds are slow. */
  constructor(
    { version, startedAt, slowMs = Infinity }: {
      version: string;
      startedAt: number;
      slowMs?: number;
    },
  ) {
    this.slow = new SlowRequests(slowMs);
    this.version = version;
    this.startedAt = startedAt;
  }

  /** Counts a commit that took this many milliseconds. */
  countCommit(ms: number): void {
    this.commitSeconds.add(ms / 1_000);
  }

  /** Counts a commit that failed, and the replies that it replaced. */
  countFailedCommit({ message }: Error, replies = 0): void {
    this.commitsFailed++;
    this.repliesReplaced += replies;
    this.lastFailure = message;
  }

  /** Notes why a request failed, without counting its reply. */
  noteFailure(error: Error): void {
    this.lastFailure = error.message;
    if (error instanceof MemoryFullError) this.memoryRefusals++;
  }

  /** Counts a request of the current turn. */
  countAnswer(latency: Latency): void {
    if (latency.pending++ === 0) this.#inTurn.push(latency);
  }

  /** Counts the requests of a turn, whose replies leave this many milliseconds after their lines arrived. */
  countTurn(ms: number): void {
    let requests = 0;
    for (let latency; (latency = this.#inTurn.pop()) !== undefined;) {
      requests += latency.pending;
      latency.seconds.add(ms / 1_000, latency.pending);
      latency.pending = 0;
    }
    if (requests > 0) this.turnRequests.add(requests);
  }
}
