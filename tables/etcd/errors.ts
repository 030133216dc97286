/**
 * The errors of a cluster when a call fails: what took place, and whether another attempt may help. They are
 * separate from the cluster so that using them does not load a gRPC client.
 *
 * @module
 */

import { TableError } from "../table.ts";

/** It is unknown whether a transaction took place. */
export class UncertainError extends Error {}

/**
 * The engine takes no changes until an operator frees space; reads still work. It may have applied the very
 * change that it answered so: a node checks again after it has applied a transaction.
 */
export class EngineFullError extends TableError {
  /** Says so to clients. */
  constructor(options?: ErrorOptions) {
    super("the table's engine is full", options);
  }
}

/** A transaction is larger than the engine accepts; it would accept a smaller one. */
export class TooLargeError extends TableError {
  /** Says so to clients. */
  constructor(options?: ErrorOptions) {
    super("more bytes than the engine takes at once", options);
  }
}

/** The engine did nothing, because it could not be reached. Another attempt may succeed. */
export class NotReachedError extends TableError {
  /** Whether some node has no leader or is silent. False if no node accepted a connection. */
  readonly isOutage: boolean;

  /** Says so to clients. */
  constructor({ isOutage, ...options }: ErrorOptions & { isOutage: boolean }) {
    super("the table's engine is not reached, or has no majority", options);
    this.isOutage = isOutage;
  }
}
