/**
 * What a session submits to the turns.
 *
 * @module
 */

import type { Session } from "../dispatch/session.ts";
import type { Lines } from "../input/lines.ts";

/** Lines that wait for their turn, and their session, of which these methods are used. */
export interface Submission<Used extends keyof Session = keyof Session> {
  /** Whose lines they are. */
  readonly session: Pick<Session, Used>;
  /** The lines. They stay where they are until the session is told which of them were taken. */
  readonly lines: Lines;
}
