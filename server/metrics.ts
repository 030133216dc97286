/**
 * What the server counts: the listener, the turn and the gate count here, STATS reads it. Requests are
 * counted by operation, in the registry.
 *
 * @module
 */

/** Counts since the server started. */
export class Metrics {
  /** The version of the server. */
  readonly version: string;
  /** When counting began, in milliseconds since 1970. */
  readonly startedAt: number;
  /** Connections that are open now. */
  connections = 0;
  /** Connections that have been accepted, refused ones not counted. */
  connectionsInAll = 0;
  /** Connections that were refused because there were too many. */
  connectionsRefused = 0;
  /** Requests whose verb no operation has. */
  unsupported = 0;
  /** Lines that are no request: empty, too long, not UTF-8, HTTP. */
  malformed = 0;
  /** Commits that wrote something. */
  commits = 0;
  /** How long all commits took, in milliseconds. */
  commitMs = 0;
  /** How long the longest commit took, in milliseconds. */
  commitMsMax = 0;

  /** Counts from zero; `startedAt` is in milliseconds since 1970. */
  constructor({ version, startedAt }: { version: string; startedAt: number }) {
    this.version = version;
    this.startedAt = startedAt;
  }

  /** Counts a commit that took this many milliseconds. */
  countCommit(ms: number): void {
    this.commits++;
    this.commitMs += ms;
    this.commitMsMax = Math.max(this.commitMsMax, ms);
  }
}
