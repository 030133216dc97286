/**
 * What a cluster throws where a call comes to nothing: what took place, and whether another attempt may help.
 * They stand apart from the cluster, so that nobody loads a client of gRPC for them.
 *
 * @module
 */

import { TableError } from "../table.ts";

/** Nobody knows whether a transaction took place. */
export class UncertainError extends Error {}

/**
 * The engine takes no changes until somebody makes room; reads go on. It may have taken the change that it
 * answered so: a node looks again after it has applied a transaction.
 */
export class EngineFullError extends TableError {
  /** Says so to clients. */
  constructor(options?: ErrorOptions) {
    super("the table's engine is full", options);
  }
}

/** A transaction is more than the engine takes; a smaller one it would take. */
export class TooLargeError extends TableError {
  /** Says so to clients. */
  constructor(options?: ErrorOptions) {
    super("more bytes than the engine takes at once", options);
  }
}

/** The engine did nothing, because it was not reached. Another attempt may succeed. */
export class NotReachedError extends TableError {
  /** Whether there is a node that has no leader, or says nothing. False: nobody took up a connection. */
  readonly isOutage: boolean;

  /** Says so to clients. */
  constructor({ isOutage, ...options }: ErrorOptions & { isOutage: boolean }) {
    super("the table's engine is not reached, or has no majority", options);
    this.isOutage = isOutage;
  }
}
