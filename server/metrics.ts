/**
 * What the server counts: the listener, connections, the turn and the gate count here. The statistics of
 * `stats.ts` are read from it when somebody asks, so counting costs a request next to nothing.
 *
 * @module
 */

import { Histogram } from "./histogram.ts";
import { SlowRequests } from "./slow_requests.ts";

/** How long the requests of one operation took. */
export class Latency {
  /** From when the lines of a packet join a turn to when its replies leave, in seconds. */
  readonly seconds: Histogram = Histogram.ofSeconds();
  /** How many requests the current turn has answered: they are all counted when it ends. */
  pending = 0;
}

/** What clients did that an operator may want to know of: how often, and who did it last. */
export class Incidents {
  /** How often. */
  count = 0;
  /** The address of the client that did it last, where it is known. */
  last: string | undefined;

  /** Counts one. */
  note(address: string | undefined): void {
    this.count++;
    this.last = address;
  }
}

/** Counts since the server started. */
export class Metrics {
  /** The version of the server. */
  readonly version: string;
  /** When counting began, in milliseconds since 1970. */
  readonly startedAt: number;
  /** Connections that are open now. */
  connections = 0;
  /** Connections that have been accepted, refused ones not counted. */
  connectionsAccepted = 0;
  /** Connections that were refused because there were too many. */
  connectionsRefused = 0;
  /** Connections that were closed because their clients took too long. */
  readonly timeouts: Incidents = new Incidents();
  /** Wrong passwords, on the port of the lines and on the admin port. */
  readonly wrongPasswords: Incidents = new Incidents();
  /** Bytes that clients have sent, those of TLS not counted. */
  bytesReceived = 0;
  /** Bytes of replies that clients have taken, those of TLS not counted. */
  bytesSent = 0;
  /** Requests whose verb no operation has. */
  unsupported = 0;
  /** Lines that are no request: empty, too long, not UTF-8, HTTP. */
  malformed = 0;
  /** How long each commit that wrote something took, in seconds. */
  readonly commitSeconds: Histogram = Histogram.ofSeconds();
  /** Commits that failed. */
  commitsFailed = 0;
  /** How many requests each turn answered, which share its commit. */
  readonly turnRequests: Histogram = Histogram.ofRequests();
  /** Whether the server is shutting down. */
  isDraining = false;
  /** How late the event loop was, in seconds: measured where somebody looks at it, else empty. */
  readonly loopDelay: Histogram = Histogram.ofSeconds();
  /** The requests that held up the server. */
  readonly slow: SlowRequests;
  /** The operations that the current turn has answered. */
  readonly #inTurn: Latency[] = [];

  /** Counts from zero; `startedAt` is in milliseconds since 1970, `slowMs` from when on a request is slow. */
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

  /** Counts a commit that failed. */
  countFailedCommit(): void {
    this.commitsFailed++;
  }

  /** Counts a request of the current turn. */
  countAnswer(latency: Latency): void {
    if (latency.pending++ === 0) this.#inTurn.push(latency);
  }

  /** Counts the requests of a turn, whose replies leave this many milliseconds after their lines came. */
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
