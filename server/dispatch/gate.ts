/**
 * From a line to a reply. The gate is the only way to a handler, and the only place that catches what
 * one throws. A connection calls it with each line; it looks the verb up in the registry, splits the
 * arguments, and runs the command. It sees no socket, so that tests can try the whole protocol without one.
 *
 * @module
 */

import { TableError } from "../../tables/table.ts";
import type { Context, Text } from "../command.ts";
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
  if (line.fault !== undefined) return malformed(`line ${line.fault}`, context);
  if (line.verb.length === 0) return malformed("empty line", context);
  const operation = context.registry.operationOf(line);
  if (operation === undefined) {
    context.metrics.unsupported++;
    return unsupported;
  }
  if (!context.client.authorized && !operation.command.open) {
    return counted(operation, unauthorized, context);
  }
  const { args } = operation;
  const count = splitArguments(line, operation);
  if (typeof count === "string") {
    return counted(operation, badRequest(`${count}; usage: ${operation.usage}`), context);
  }
  return handle(operation, count === args.length ? args : args.slice(0, count), context);
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

function counted(operation: Operation, reply: Reply, { metrics }: Context): Reply {
  if (!(reply instanceof Reply)) throw new TypeError("its handler returned no reply");
  operation.answered[reply.code]!++;
  metrics.countAnswer(operation.latency);
  return reply;
}

/** The client is told of a table's own error; any other error is our mistake, and goes to the log. */
function failed(operation: Operation, error: unknown, context: Context): Reply {
  if (error instanceof TableError) {
    return counted(operation, serverError(error.message), context);
  }
  logEvent("error", `Cannot answer ${operation.verb}`, { error });
  return counted(operation, serverError("internal error"), context);
}
