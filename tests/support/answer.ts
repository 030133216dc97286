/**
 * A line by itself, as the gate answers it.
 *
 * @module
 */

import { answer as answerRequest, type GateContext, prepare } from "../../server/dispatch/gate.ts";
import type { Line } from "../../server/input/line.ts";
import type { Reply } from "../../server/reply.ts";

/** The reply to a line; a Promise only where its handler returns one. */
export function answer(line: Line, context: GateContext): Reply | Promise<Reply> {
  return answerRequest(prepare(line, context), context);
}
