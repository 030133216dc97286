/**
 * Answers one line: the only way from a line to a handler, and the only place that catches what a
 * handler throws. A connection calls it with each line; it calls `request`, the registry, and then
 * the command. It sees no socket, so the whole protocol can be tried without one.
 *
 * @module
 */

import { TableError } from "../tables/table.ts";
import type { Context, Text } from "./command.ts";
import type { Operation } from "./registry.ts";
import { badRequest, Reply, serverError, unauthorized, unsupported } from "./reply.ts";
import { type Line, splitArguments } from "./request.ts";

/**
 * The reply to a line; a Promise only where the handler returns one. The order is fixed: unknown verb
 * 220, password 401, arguments 400, then the handler.
 */
export function answer(line: Line, context: Context): Reply | Promise<Reply> {
  if (line.fault !== undefined) return malformed(`line ${line.fault}`, context);
  if (line.verb.length === 0) return malformed("empty line", context);
  const operation = context.registry.operationOf(line);
  if (operation === undefined) {
    context.figures.unsupported++;
    return unsupported;
  }
  if (!context.client.authorized && !operation.command.open) {
    return counted(operation, unauthorized);
  }
  const { args } = operation;
  const count = splitArguments(line, operation);
  if (typeof count === "string") {
    return counted(operation, badRequest(`${count}; usage: ${operation.usage}`));
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
    if (reply instanceof Reply || !(reply instanceof Promise)) return counted(operation, reply);
    return reply.then((late) => counted(operation, late)).catch((error) =>
      failed(operation, error)
    );
  } catch (error) {
    context.table.undo(mark);
    return failed(operation, error);
  }
}

/** The reply to what is no request: a line that is no text, or HTTP. */
export function malformed(why: string, { figures }: Context): Reply {
  figures.malformed++;
  return badRequest(why);
}

function counted(operation: Operation, reply: Reply): Reply {
  if (!(reply instanceof Reply)) throw new TypeError("its handler returned no reply");
  operation.answered[reply.code]!++;
  return reply;
}

/** A table's own error is told to the client; any other is a mistake of ours, and told to the log. */
function failed(operation: Operation, error: unknown): Reply {
  if (error instanceof TableError) return counted(operation, serverError(error.message));
  console.error(`Cannot answer ${operation.verb}:`, error);
  return counted(operation, serverError("internal error"));
}
