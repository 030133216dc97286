/**
 * Words that mean an operation elsewhere, and what it is called here. HELP answers with them, because
 * somebody who has typed `SET` wants to know of PUT; the word itself stays unsupported.
 *
 * @module
 */

/** Our verb for what another server calls by this word. */
export interface Synonym {
  /** The word, in upper case. */
  readonly word: string;
  /** The verb of the operation. */
  readonly verb: string;
  /** How to write it, where its usage does not say. */
  readonly as?: string;
}

/** The words, by the operation that does it. Those of Redis and memcached, and what people try. */
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

/** What does here what a word does elsewhere; undefined where nothing does. The word may be in any case. */
export function synonymOf(word: string): Synonym | undefined {
  // Verbs are ASCII: other letters, such as U+017F, have an upper case there too.
  return /^[!-~]+$/.test(word) ? SYNONYMS.get(word.toUpperCase()) : undefined;
}
