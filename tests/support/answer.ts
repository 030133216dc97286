/**
 * A line by itself, as a session of an authorized client answers it.
 *
 * @module
 */

import { count, prepare, type RequestContext, run } from "../../server/dispatch/request.ts";
import type { Line } from "../../server/input/line.ts";
import type { Reply } from "../../server/reply.ts";

/** The reply to a line; a Promise only where its handler returns one. */
export function answer(line: Line, context: RequestContext): Reply | Promise<Reply> {
  const request = prepare(line, context);
  const counted = (reply: Reply) => {
    count(request, reply, context);
    return reply;
  };
  const reply = run(request, context);
  return reply instanceof Promise ? reply.then(counted) : counted(reply);
}
