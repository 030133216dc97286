/**
 * Verbs of other servers, and what does the same here. HELP uses them: somebody who has typed `SET` wants to
 * know about PUT. The verbs themselves stay unsupported.
 *
 * @module
 */

/** Our verb for an operation of another server. */
export interface Synonym {
  /** The other server's verb, in upper case. */
  readonly word: string;
  /** The verb of the operation. */
  readonly verb: string;
  /** How to write it, if its usage does not say. */
  readonly as?: string;
}

/** The verbs of Redis and memcached, and others that people try, by the operation that does the same. */
const WORDS: readonly (readonly [verb: string, words: string, as?: string])[] = [
  ["PUT", "SET MSET STORE WRITE SAVE INSERT REPLACE"],
  ["ADD", "SETNX CREATE"],
  ["DELETE", "DEL UNLINK REMOVE RM DROP"],
  ["GET", "MGET READ FETCH EXISTS"],
  ["GETS", "WATCH"],
  ["CAS", "EXEC MULTI"],
  ["CLEAR", "FLUSHALL FLUSHDB FLUSH_ALL TRUNCATE RESET"],
  ["COUNT", "DBSIZE SIZE LEN PING ECHO TIME NOOP"],
  ["INCR", "INCRBY"],
  ["INCR", "DECR DECRBY", "INCR key -1"],
  ["EXPIRE", "SETEX PEXPIRE TOUCH"],
  ["TTL", "PTTL EXPIRETIME"],
  ["KEYS", "SCAN LIST LS SHOW"],
  ["STATS", "INFO STATUS VERSION"],
  ["CLIENTS", "CLIENT WHO"],
  ["AUTH", "LOGIN PASS PASSWORD USER"],
  ["QUIT", "EXIT BYE LOGOUT CLOSE LOGOFF DISCONNECT"],
  ["HELP", "COMMAND COMMANDS MAN ?"],
];

const SYNONYMS: ReadonlyMap<string, Synonym> = new Map(
  WORDS.flatMap(([verb, words, as]) =>
    words.split(" ").map((word) => [word, { word, verb, ...(as !== undefined && { as }) }])
  ),
);

/** Our operation for another server's verb, in any case; undefined if there is none. */
export function synonymOf(word: string): Synonym | undefined {
  // Verbs are ASCII, but some other letters, such as U+017F, have an upper case in ASCII.
  return /^[!-~]+$/.test(word) ? SYNONYMS.get(word.toUpperCase()) : undefined;
}
