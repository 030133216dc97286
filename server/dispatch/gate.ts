/**
 * From a line to a reply. The gate is the only way to a handler, and the only place that catches what
 * one throws. A connection calls it with each line; it looks the verb up in the registry, splits the
 * arguments, and runs the command. It sees no socket, so that tests can try the whole protocol without one.
 *
 * @module
 */

import { TableError } from "../../tables/table.ts";
import type { Text } from "../../tables/text.ts";
import type { Context } from "../command.ts";
import { logEvent } from "../event_log.ts";
import type { Line } from "../input/line.ts";
import { badRequest, Reply, serverError, unauthorized, unsupported } from "../reply.ts";
import { splitArguments } from "./arity.ts";
import type { Operation, Registry } from "./registry.ts";

/** What the gate works with: what a handler may use, and a registry that finds verbs in lines. */
export interface GateContext extends Context {
  /** Finds the operation of a line. */
  readonly registry: Registry;
}

/**
 * The reply to a line; a Promise only where the handler returns one. The checks come in this order:
 * unknown verb 220, password 401, arguments 400, then the handler.
 */
export function answer(line: Line, context: GateContext): Reply | Promise<Reply> {
  const operation = operationFor(line, context);
  if (operation instanceof Reply) {
    countRefusal(operation, context);
    return operation;
  }
  const args = argumentsFor(line, operation, context);
  if (args instanceof Reply) return counted(operation, args, context);
  return handle(operation, args, context);
}

/** A line that has passed the gate, or has got its reply there. It may be run several times. */
export interface Request {
  /** Undefined where the line asks for none. */
  readonly operation: Operation | undefined;
  /** Where the line has them, which must stay there for as long as the request may run. */
  readonly args: readonly Text[];
  /** The gate's own reply, where the line did not pass. */
  readonly reply: Reply | undefined;
}

/** The first half of `answer`, for a table whose turn may have to run a request again. Counts nothing. */
export function prepare(line: Line, context: GateContext): Request {
  const operation = operationFor(line, context);
  if (operation instanceof Reply) return refusedRequest(operation);
  const args = argumentsFor(line, operation, context);
  if (args instanceof Reply) return { operation, args: [], reply: args };
  return { operation, args, reply: undefined };
}

/** A line that the gate, or the connection before it, answers without looking at its verb. */
export function refusedRequest(reply: Reply): Request {
  return { operation: undefined, args: [], reply };
}

/** The second half: runs the handler, and counts nothing, because a request may be run again. */
export function run(request: Request, context: Context): Reply | Promise<Reply> {
  const { reply, operation, args } = request;
  if (reply !== undefined) return reply;
  const mark = context.table.mark();
  const fail = (error: unknown) => {
    context.table.undo(mark);
    return failureOf(operation!, error);
  };
  try {
    const reply = operation!.command.handler(args as never, context);
    return reply instanceof Promise ? reply.then(checked).catch(fail) : checked(reply);
  } catch (error) {
    return fail(error);
  }
}

/** Counts the reply with which a request leaves. */
export function count({ operation }: Request, reply: Reply, context: Context): void {
  if (operation === undefined) countRefusal(reply, context);
  else counted(operation, reply, context);
}

/** The operation of a line, or the reply to one that has none. */
function operationFor(line: Line, { registry }: GateContext): Operation | Reply {
  if (line.fault !== undefined) return badRequest(`line ${line.fault}`);
  if (line.verbStart === line.verbEnd) return badRequest("empty line");
  return registry.operationOf(line) ?? unsupported;
}

/** The arguments of a line, or the reply where the password or one of them is missing or wrong. */
function argumentsFor(
  line: Line,
  operation: Operation,
  { client }: Context,
): readonly Text[] | Reply {
  if (!client.authorized && !operation.command.open) return unauthorized;
  const args = splitArguments(line, operation.arity);
  return typeof args === "string" ? badRequest(`${args}; usage: ${operation.usage}`) : args;
}

function handle(
  operation: Operation,
  args: readonly Text[],
  context: Context,
): Reply | Promise<Reply> {
  const mark = context.table.mark();
  try {
    const reply = operation.command.handler(args as never, context);
    if (reply instanceof Reply || !(reply instanceof Promise)) {
      return counted(operation, reply, context);
    }
    return reply.then((late) => counted(operation, late, context))
      .catch((error) => failed(operation, error, context));
  } catch (error) {
    context.table.undo(mark);
    return failed(operation, error, context);
  }
}

/** The reply to what is no request: a line that is not text, or HTTP. */
export function malformed(why: string, { metrics }: Pick<Context, "metrics">): Reply {
  metrics.malformed++;
  return badRequest(why);
}

function countRefusal(reply: Reply, { metrics }: Context): void {
  if (reply === unsupported) metrics.unsupported++;
  else metrics.malformed++;
}

function counted(operation: Operation, reply: Reply, { metrics }: Context): Reply {
  operation.answered[checked(reply).code]!++;
  metrics.countAnswer(operation.latency);
  return reply;
}

function checked(reply: Reply): Reply {
  if (!(reply instanceof Reply)) throw new TypeError("its handler returned no reply");
  return reply;
}

function failed(operation: Operation, error: unknown, context: Context): Reply {
  return counted(operation, failureOf(operation, error), context);
}

/** The client is told of a table's own error; any other error is our mistake, and goes to the log. */
function failureOf({ verb }: Operation, error: unknown): Reply {
  if (error instanceof TableError) return serverError(error.message);
  logEvent("error", `Cannot answer ${verb}`, { error });
  return serverError("internal error");
}
