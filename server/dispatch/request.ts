/**
 * Makes a request of a line, and a reply of a request. `run` is the only way to a handler, and the only place
 * that catches what one throws. A session makes requests with the operation that the registry finds and the
 * arguments, and runs them later. Making one does not involve the client or the table, so it can be done
 * ahead.
 *
 * @module
 */

import { TableError, UnreadError } from "../../tables/table.ts";
import type { Text } from "../../tables/text.ts";
import type { Context } from "../command.ts";
import { logFault } from "../observe/event_log.ts";
import type { Line, LineFault } from "../input/line.ts";
import { badRequest, Reply, serverError, unsupported } from "../reply.ts";
import { splitArguments } from "./arity.ts";
import type { Operation, Registry } from "./registry.ts";

const NO_ARGS: readonly Text[] = [];
// Made once, because a client may send only such lines.
const EMPTY_LINE = badRequest("empty line");
const NO_TEXT: Readonly<Record<LineFault, Reply>> = {
  "too long": badRequest("line too long"),
  "not UTF-8": badRequest("line not UTF-8"),
};

/** What requests are made and run with: a handler's context, and a registry that finds verbs in lines. */
export interface RequestContext extends Context {
  /** Finds the operation of a line. */
  readonly registry: Registry;
}

/** A line that has become a request, or already has its reply. It may be run several times. */
export interface Request {
  /** The line, in memory that must not change for as long as the request may run. */
  readonly line: Line;
  /** Undefined if the line asks for none. */
  readonly operation: Operation | undefined;
  /** Present if the line has them. */
  readonly args: readonly Text[];
  /** The reply that it already has, if the line is not well formed or no handler may see it. */
  readonly reply: Reply | undefined;
}

/** Makes a request of a line: finds its operation, and splits and checks its arguments. */
export function prepare(line: Line, { registry }: Pick<RequestContext, "registry">): Request {
  const operation = registry.operationOf(line);
  if (operation === undefined) return refused(line, refusalOf(line));
  const args = splitArguments(line, operation.arity);
  if (typeof args !== "string") return { line, operation, args, reply: undefined };
  const reply = badRequest(`${args}; usage: ${operation.usage}`);
  return { line, operation, args: NO_ARGS, reply };
}

/** The key of a request: its first argument, if that is a key. */
export function keyOf({ operation, args }: Request): Text | undefined {
  return operation?.isKeyed === true ? args[0] : undefined;
}

/** A request for a line whose verb does not matter, because the reply is known. */
export function refused(line: Line, reply: Reply): Request {
  return { line, operation: undefined, args: NO_ARGS, reply };
}

/**
 * Runs the handler of a request that was admitted. The changes of a handler that throws are undone, unless it
 * throws after an `await`: others may have changed the table since.
 */
export function run({ operation, args, reply }: Request, context: Context): Reply | Promise<Reply> {
  if (reply !== undefined) return reply;
  const mark = context.table.mark();
  try {
    const reply = operation!.command.handler(args as never, context);
    if (reply instanceof Reply) return reply;
    if (!(reply instanceof Promise)) return checked(reply);
    return reply.then(checked).catch((error) => failureOf(operation!, error, context));
  } catch (error) {
    context.table.undo(mark);
    return failureOf(operation!, error, context);
  }
}

/** Counts the reply with which a request leaves. */
export function count({ operation }: Request, reply: Reply, { metrics, client }: Context): void {
  client.requests++;
  if (operation === undefined) {
    if (reply === unsupported) metrics.unsupported++;
    else metrics.malformed++;
  } else {
    operation.answered[reply.code]!++;
    metrics.countAnswer(operation.latency);
  }
}

/** The reply to a line that names no operation. */
function refusalOf(line: Line): Reply {
  if (line.fault !== undefined) return NO_TEXT[line.fault];
  return line.verbStart === line.verbEnd ? EMPTY_LINE : unsupported;
}

function checked(reply: Reply): Reply {
  if (!(reply instanceof Reply)) throw new TypeError("its handler returned no reply");
  return reply;
}

/** A table's own error is reported to the client; any other error is our mistake, and is logged. */
function failureOf({ verb }: Operation, error: unknown, { metrics }: Context): Reply {
  if (!(error instanceof TableError)) logFault(`Cannot answer ${verb}`, error);
  const told = error instanceof TableError ? error : new TableError("internal error");
  if (!(told instanceof UnreadError)) metrics.noteFailure(told);
  return serverError(told.message);
}
