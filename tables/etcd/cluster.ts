/**
 * The nodes of an etcd cluster as one engine: a call goes to the node that answered last, and if that fails,
 * to the next one. For each failure, it reports whether certainly nothing took place or the outcome is
 * unknown.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";
import { status as Status } from "npm:@grpc/grpc-js@1.14.7";
import { TableError } from "../table.ts";
import { EngineFullError, NotReachedError, TooLargeError, UncertainError } from "./errors.ts";
import { CallError, type Method, Node, type TlsOptions } from "./grpc.ts";
import { AUTHENTICATE, COMPACT, TXN, type Txn, type TxnResult } from "./messages.ts";

/** How to reach a cluster. */
export interface ClusterOptions {
  /** The nodes, as in `10.0.0.1:2379`. */
  readonly nodes: readonly string[];
  /** Set if the nodes speak TLS. */
  readonly tls?: TlsOptions | undefined;
  /** Set if the cluster asks for a name and a password. */
  readonly login?: { readonly user: string; readonly password: string } | undefined;
  /** How long a call to one node may take, in milliseconds, before the next one is tried. */
  readonly attemptMs: number;
}

/** How long to wait before the next attempt if one failed at once, in milliseconds. */
const RETRY_MS = 50;
/** Answers that etcd gives before it has done anything, though their status could also mean that it had. */
const NO_LEADER = "etcdserver: no leader";
/**
 * How errors begin that etcd, or the gRPC below it, answers. The library also gives such a status to a broken
 * stream and to a proxy's answer: then the outcome of the call is unknown.
 */
const ANSWER = /^(etcdserver|grpc): /;
const REFUSED = new Set([Status.INVALID_ARGUMENT, Status.RESOURCE_EXHAUSTED]);
const DENIED = new Set([
  Status.PERMISSION_DENIED,
  Status.UNAUTHENTICATED,
  Status.FAILED_PRECONDITION,
]);

/** The nodes of one cluster. */
export class Cluster {
  readonly #nodes: readonly Node[];
  readonly #options: ClusterOptions;
  #current: number;
  #token: string | undefined;
  #isClosed = false;

  /** Connects when it is first called. */
  constructor(options: ClusterOptions) {
    this.#options = options;
    this.#nodes = options.nodes.map((address) => new Node(address, options.tls));
    // Several servers should not all use the same node.
    this.#current = Math.floor(Math.random() * this.#nodes.length);
  }

  /**
   * Carries out a transaction that may safely be repeated, such as one that only reads; each attempt may use
   * a different one. Throws TableError if it can't be done until the deadline, by `Date.now`.
   */
  async repeatable(txn: Txn | (() => Txn), deadline: number): Promise<TxnResult> {
    for (let isOutage = false;;) {
      try {
        return await this.once(typeof txn === "function" ? txn() : txn, deadline);
      } catch (error) {
        if (error instanceof TableError && !(error instanceof NotReachedError)) throw error;
        isOutage ||= error instanceof UncertainError || (error as NotReachedError).isOutage;
        if (Date.now() + RETRY_MS >= deadline) throw new NotReachedError({ isOutage });
        await delay(RETRY_MS);
      }
    }
  }

  /**
   * Tries once to carry out a transaction. Throws UncertainError if it is unknown whether it took place,
   * EngineFullError if a look at the engine tells, TableError if it certainly did not.
   */
  once(txn: Txn, deadline: number): Promise<TxnResult> {
    return this.#once(TXN, txn, deadline);
  }

  /**
   * Tries once to make the engine forget everything before a revision, to free space. Throws UncertainError
   * and TableError.
   */
  compact(revision: number, deadline: number): Promise<void> {
    return this.#once(COMPACT, { revision }, deadline);
  }

  /** Ends all connections. Later calls fail. */
  close(): void {
    this.#isClosed = true;
    for (const node of this.#nodes) node.close();
  }

  async #once<Request, Reply>(
    method: Method<Request, Reply>,
    request: Request,
    deadline: number,
  ): Promise<Reply> {
    for (let isFirst = true;; isFirst = false) {
      if (this.#isClosed) throw new TableError("the table is closed");
      if (Date.now() >= deadline) throw new NotReachedError({ isOutage: false });
      const node = this.#current;
      try {
        await this.#logIn(deadline);
        return await this.#call(method, request, { deadline });
      } catch (error) {
        if (!(error instanceof CallError)) throw error;
        if (isFirst && isTokenError(error)) {
          this.#token = undefined;
          continue;
        }
        throw this.#judge(error, node);
      }
    }
  }

  async #logIn(deadline: number): Promise<void> {
    const { login } = this.#options;
    if (login === undefined || this.#token !== undefined) return;
    try {
      const { user: name, password } = login;
      this.#token = await this.#call(AUTHENTICATE, { name, password }, { deadline });
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      // However it failed, the transaction was not sent.
      throw new CallError(error.message, { status: error.status, isSent: false });
    }
  }

  #call<Request, Reply>(
    method: Method<Request, Reply>,
    request: Request,
    { deadline }: { deadline: number },
  ): Promise<Reply> {
    const timeout = Math.max(1, Math.min(this.#options.attemptMs, deadline - Date.now()));
    return this.#nodes[this.#current]!.call(method, request, { timeout, token: this.#token });
  }

  /** What a failed call means to its caller. */
  #judge(error: CallError, node: number): Error {
    const { status, isSent, message } = error;
    const isAnswer = ANSWER.test(message);
    if (isAnswer && REFUSED.has(status)) {
      if (message.includes("database space exceeded")) return new EngineFullError({ cause: error });
      if (/too large|larger than max/.test(message)) return new TooLargeError({ cause: error });
      return new TableError(reasonOf(message), { cause: error });
    }
    if (isAnswer && DENIED.has(status)) {
      return new TableError("the table's engine lets this server not in", { cause: error });
    }
    if (this.#current === node) this.#current = (node + 1) % this.#nodes.length;
    if (isSent && message !== NO_LEADER) return new UncertainError(message);
    const isOutage = message === NO_LEADER || status === Status.DEADLINE_EXCEEDED;
    return new NotReachedError({ isOutage, cause: error });
  }
}

function isTokenError({ status, message }: CallError): boolean {
  return status === Status.UNAUTHENTICATED && ANSWER.test(message) ||
    message === "etcdserver: invalid auth token";
}

/** Why etcd refused a transaction, in words for clients. */
function reasonOf(message: string): string {
  if (message.includes("too many requests")) return "the table's engine is overloaded";
  return "the table's engine refuses";
}
