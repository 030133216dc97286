/**
 * From a line to a reply. The gate is the only way to a handler, and the only place that catches what one
 * throws. A connection calls it twice for each line: it makes a request of the line, with the operation that
 * the registry finds and the arguments; later it answers the request. Making one asks nothing of the client
 * or the table, so that it can be done ahead. The gate sees no socket, so that tests can try the whole
 * protocol without one.
 *
 * @module
 */

import { TableError } from "../../tables/table.ts";
import type { Text } from "../../tables/text.ts";
import type { Context } from "../command.ts";
import { logEvent } from "../event_log.ts";
import type { Line } from "../input/line.ts";
import type { LineFault } from "../input/lines.ts";
import { badRequest, Reply, serverError, unauthorized, unsupported } from "../reply.ts";
import { splitArguments } from "./arity.ts";
import type { Operation, Registry } from "./registry.ts";

const NO_ARGS: readonly Text[] = [];
// Made once: a client may send nothing but such lines.
const EMPTY_LINE = badRequest("empty line");
const NO_TEXT: Readonly<Record<LineFault, Reply>> = {
  "too long": badRequest("line too long"),
  "not UTF-8": badRequest("line not UTF-8"),
};

/** What the gate works with: what a handler may use, and a registry that finds verbs in lines. */
export interface GateContext extends Context {
  /** Finds the operation of a line. */
  readonly registry: Registry;
}

/** A line that has become a request, or has got its reply already. It may be run several times. */
export interface Request {
  /** The line, in memory that must not change for as long as the request may run. */
  readonly line: Line;
  /** Undefined where the line asks for none. */
  readonly operation: Operation | undefined;
  /** Where the line has them. */
  readonly args: readonly Text[];
  /** The gate's own reply, where the line is not well formed or no handler may see it. */
  readonly reply: Reply | undefined;
}

/** Makes a request of a line: finds its operation, and splits and checks its arguments. */
export function prepare(line: Line, { registry }: Pick<GateContext, "registry">): Request {
  const operation = registry.operationOf(line);
  if (operation === undefined) return refused(line, refusalOf(line));
  const args = splitArguments(line, operation.arity);
  if (typeof args !== "string") return { line, operation, args, reply: undefined };
  const reply = badRequest(`${args}; usage: ${operation.usage}`);
  return { line, operation, args: NO_ARGS, reply };
}

/** The key of a request: its first argument, where that is a key. */
export function keyOf({ operation, args }: Request): Text | undefined {
  return operation?.arity.keys[0] === true ? args[0] : undefined;
}

/**
 * The reply to a request; a Promise only where the handler returns one. The checks come in this order:
 * unknown verb 220, password 401, arguments 400, then the handler.
 */
export function answer(request: Request, context: GateContext): Reply | Promise<Reply> {
  const admitted = admit(request, context);
  const reply = run(admitted, context);
  if (reply instanceof Reply) return counted(admitted, reply, context);
  return reply.then((late) => counted(admitted, late, context));
}

/** The request, or in its place one that is refused, where the client has yet to give the password. */
export function admit(request: Request, { client }: Context): Request {
  const { operation } = request;
  if (client.authorized || operation === undefined || operation.command.open) return request;
  return { ...request, reply: unauthorized };
}

/** A line that the gate, or the connection before it, answers without looking at its verb. */
export function refused(line: Line, reply: Reply): Request {
  return { line, operation: undefined, args: NO_ARGS, reply };
}

/**
 * Runs the handler of a request that was admitted. What a handler has changed before it throws is undone,
 * unless it throws late: others may have changed the table since.
 */
export function run({ operation, args, reply }: Request, context: Context): Reply | Promise<Reply> {
  if (reply !== undefined) return reply;
  const mark = context.table.mark();
  try {
    const reply = operation!.command.handler(args as never, context);
    if (reply instanceof Reply) return reply;
    if (!(reply instanceof Promise)) return checked(reply);
    return reply.then(checked).catch((error) => failureOf(operation!, error));
  } catch (error) {
    context.table.undo(mark);
    return failureOf(operation!, error);
  }
}

/** Counts the reply with which a request leaves, and returns it. */
export function counted({ operation }: Request, reply: Reply, { metrics }: Context): Reply {
  if (operation === undefined) {
    if (reply === unsupported) metrics.unsupported++;
    else metrics.malformed++;
  } else {
    operation.answered[reply.code]!++;
    metrics.countAnswer(operation.latency);
  }
  return reply;
}

/** The reply to what is no request: a line that is not text, or HTTP. */
export function malformed(why: string, { metrics }: Pick<Context, "metrics">): Reply {
  metrics.malformed++;
  return badRequest(why);
}

/** The reply to a line that no operation has the verb of. */
function refusalOf(line: Line): Reply {
  if (line.fault !== undefined) return NO_TEXT[line.fault];
  return line.verbStart === line.verbEnd ? EMPTY_LINE : unsupported;
}

function checked(reply: Reply): Reply {
  if (!(reply instanceof Reply)) throw new TypeError("its handler returned no reply");
  return reply;
}

/** The client is told of a table's own error; any other error is our mistake, and goes to the log. */
function failureOf({ verb }: Operation, error: unknown): Reply {
  if (error instanceof TableError) return serverError(error.message);
  logEvent("error", `Cannot answer ${verb}`, { error });
  return serverError("internal error");
}
