/**
 * The protocol as a table: what a client sends, and what it gets. It can be read as documentation;
 * `protocol_test.ts` runs every case in memory and over a socket, `lines_test.ts` cuts them to
 * pieces.
 *
 * @module
 */

/** One case. It begins with an empty table and a new connection. */
export interface ProtocolCase {
  /** What it shows. */
  readonly name: string;
  /**
   * A list is a dialogue: each line is ended by CR LF and sent when the one before it is answered.
   * Text and bytes go out as they are, in one piece, and then the client says that no more will
   * come. `<version>` in a line is the version that the server named last.
   */
  readonly send: readonly string[] | string | Uint8Array<ArrayBuffer>;
  /**
   * The lines of all replies, without their CR LF. `<version>`, `<number>` and `<text>` stand for
   * what can't be foretold, `…` for any number of lines.
   */
  readonly expect: readonly string[];
  /** Set where the server ends the connection by itself. */
  readonly ends?: true;
  /** The server that it needs, where that is not the plain one. */
  readonly server?: keyof typeof SERVERS;
}

/** The servers of the cases: how each differs from one that is started without options. */
export const SERVERS = {
  plain: {} as ServerSettings,
  "short lines": { lineBytesMax: 64 } as ServerSettings,
  password: { password: "open sesame " } as ServerSettings,
};

/** What a case may need of its server. */
export interface ServerSettings {
  readonly lineBytesMax?: number;
  readonly password?: string;
}

// Telnet's commands (RFC 854), and two of its options.
const [SE, NOP, SYNCH, BREAK, INTERRUPT] = [0xf0, 0xf1, 0xf2, 0xf3, 0xf4];
const [AYT, ERASE, SB, WILL, WONT, DO, DONT, IAC] = [
  0xf6,
  0xf7,
  0xfa,
  0xfb,
  0xfc,
  0xfd,
  0xfe,
  0xff,
];
const [ECHO, WINDOW_SIZE] = [0x01, 0x1f];

const utf8 = new TextEncoder();

/** Text as UTF-8, and single bytes, one behind the other. */
function bytes(...parts: (string | number)[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(
    parts.flatMap((part) => typeof part === "string" ? [...utf8.encode(part)] : [part]),
  );
}

const KEY_OF_1024_BYTES = "k".repeat(1_024);
const KEY_OF_1024_BYTES_IN_512_CHARACTERS = "é".repeat(512);
const VALUE_OF_1_MIB = "v".repeat(1_048_576 - "PUT a ".length);

const get: ProtocolCase[] = [
  {
    name: "GET returns the value",
    send: ["PUT greeting hello world", "GET greeting"],
    expect: ["200 OK", "200 OK hello world"],
  },
  {
    name: "GET of a key without a value is 404",
    send: ["GET greeting"],
    expect: ["404 NOT FOUND"],
  },
  {
    name: "GET tells keys in upper case from keys in lower case",
    send: ["PUT Key 1", "GET key", "GET Key"],
    expect: ["200 OK", "404 NOT FOUND", "200 OK 1"],
  },
  {
    name: "GET without a key is 400",
    send: ["GET", "GET ", "GET    "],
    expect: Array(3).fill("400 BADREQUEST too few arguments; usage: GET key"),
  },
  {
    name: "GET with two keys is 400",
    send: ["PUT a 1", "GET a b", "GET a a"],
    expect: [
      "200 OK",
      "400 BADREQUEST too many arguments; usage: GET key",
      "400 BADREQUEST too many arguments; usage: GET key",
    ],
  },
  {
    name: "GET of a key with a control character is 400",
    send: ["GET a\tb", "GET \x00", "GET a\x1f", "GET a\x7f"],
    expect: Array(4).fill("400 BADREQUEST control character in key; usage: GET key"),
  },
];

const put: ProtocolCase[] = [
  {
    name: "PUT replaces a value",
    send: ["PUT a 1", "PUT a 2", "GET a"],
    expect: ["200 OK", "200 OK", "200 OK 2"],
  },
  {
    name: "PUT keeps the spaces of a value: inside, before and behind",
    send: ["PUT a   two  before, two behind  ", "GET a"],
    expect: ["200 OK", "200 OK   two  before, two behind  "],
  },
  {
    name: "PUT stores a value of one space, which stands behind the space that ends the key",
    send: ["PUT a  ", "GET a", "COUNT"],
    expect: ["200 OK", "200 OK  ", "200 OK 1"],
  },
  {
    name: "PUT without a value is 400, with and without a space behind the key",
    send: ["PUT a", "PUT a ", "PUT   a", "GET a"],
    expect: [
      ...Array(3).fill("400 BADREQUEST too few arguments; usage: PUT key value"),
      "404 NOT FOUND",
    ],
  },
  {
    name: "PUT without a key is 400",
    send: ["PUT", "PUT ", "put"],
    expect: Array(3).fill("400 BADREQUEST too few arguments; usage: PUT key value"),
  },
  {
    name: "PUT keeps a TAB in a value",
    send: ["PUT a \tone\ttwo\t", "GET a", "PUT b \t", "GET b"],
    expect: ["200 OK", "200 OK \tone\ttwo\t", "200 OK", "200 OK \t"],
  },
  {
    name: "PUT of a value with another control character is 400, and the old value stays",
    send: ["PUT a 1", "PUT a \x00", "PUT a x\x01y", "PUT a x\x1b[2J", "PUT a \x7f", "GET a"],
    expect: [
      "200 OK",
      ...Array(4).fill("400 BADREQUEST control character in value; usage: PUT key value"),
      "200 OK 1",
    ],
  },
  {
    name: "PUT under a key with a control character is 400",
    send: ["PUT a\tb 1", "PUT \x0b 1", "COUNT"],
    expect: [
      ...Array(2).fill("400 BADREQUEST control character in key; usage: PUT key value"),
      "200 OK 0",
    ],
  },
  {
    name: "PUT stores a value that reads like a request, or like a reply",
    send: ["PUT a CLEAR", "PUT b 200-OK", "GET a", "GET b", "COUNT"],
    expect: ["200 OK", "200 OK", "200 OK CLEAR", "200 OK 200-OK", "200 OK 2"],
  },
  {
    name: "PUT keeps the line separators of Unicode: only LF ends a line",
    send: ["PUT a one\u2028two\u2029three\u0085four", "GET a"],
    expect: ["200 OK", "200 OK one\u2028two\u2029three\u0085four"],
  },
  {
    name: "PUT keeps text of every script as it is",
    send: ["PUT größe 10 µm", "GET größe", "PUT 鍵 値 🗝️", "GET 鍵"],
    expect: ["200 OK", "200 OK 10 µm", "200 OK", "200 OK 値 🗝️"],
  },
  {
    name: "PUT normalises nothing: é in one code point and in two are two keys",
    send: ["PUT caf\u00e9 1", "PUT cafe\u0301 2", "GET caf\u00e9", "COUNT"],
    expect: ["200 OK", "200 OK", "200 OK 1", "200 OK 2"],
  },
  {
    name: "PUT keeps U+FEFF wherever it stands: it is text, and no mark to drop",
    send: ["PUT a 1", "PUT \ufeffa 2", "PUT b \ufeffx", "GET a", "GET \ufeffa", "GET b"],
    expect: ["200 OK", "200 OK", "200 OK", "200 OK 1", "200 OK 2", "200 OK \ufeffx"],
  },
  {
    name: "PUT keeps the characters that stand for bytes that no decoder knows",
    send: ["PUT \ufffd \ufffd\ufffe\uffff", "GET \ufffd"],
    expect: ["200 OK", "200 OK \ufffd\ufffe\uffff"],
  },
  {
    name: "PUT takes the end off a key",
    send: ["PUT a 1", "EXPIRE a 60", "PUT a 2", "TTL a"],
    expect: ["200 OK", "200 OK", "200 OK", "200 OK none"],
  },
];

const deleteCases: ProtocolCase[] = [
  {
    name: "DELETE removes a key and its value",
    send: ["PUT a 1", "PUT b 2", "DELETE a", "GET a", "GET b"],
    expect: ["200 OK", "200 OK", "200 OK", "404 NOT FOUND", "200 OK 2"],
  },
  {
    name: "DELETE of a key that is not stored is 200 too",
    send: ["DELETE a", "DELETE a"],
    expect: ["200 OK", "200 OK"],
  },
  {
    name: "DELETE without a key is 400",
    send: ["DELETE"],
    expect: ["400 BADREQUEST too few arguments; usage: DELETE key"],
  },
  {
    name: "DELETE of two keys is 400, and removes none",
    send: ["PUT a 1", "DELETE a b", "GET a"],
    expect: ["200 OK", "400 BADREQUEST too many arguments; usage: DELETE key", "200 OK 1"],
  },
  {
    name: "DELETE of a key with a control character is 400",
    send: ["DELETE a\x08"],
    expect: ["400 BADREQUEST control character in key; usage: DELETE key"],
  },
];

const clear: ProtocolCase[] = [
  {
    name: "CLEAR removes every key",
    send: ["PUT a 1", "PUT b 2", "CLEAR", "GET a", "GET b", "COUNT"],
    expect: ["200 OK", "200 OK", "200 OK", "404 NOT FOUND", "404 NOT FOUND", "200 OK 0"],
  },
  {
    name: "CLEAR of an empty table is 200 too",
    send: ["CLEAR", "CLEAR"],
    expect: ["200 OK", "200 OK"],
  },
  {
    name: "CLEAR with an argument is 400, and removes nothing",
    send: ["PUT a 1", "CLEAR a", "GET a"],
    expect: ["200 OK", "400 BADREQUEST too many arguments; usage: CLEAR", "200 OK 1"],
  },
];

const quit: ProtocolCase[] = [
  {
    name: "QUIT is 200, and the server ends the connection",
    send: ["QUIT"],
    expect: ["200 OK"],
    ends: true,
  },
  {
    name: "QUIT with spaces behind it ends the connection too",
    send: ["quit  "],
    expect: ["200 OK"],
    ends: true,
  },
  {
    name: "QUIT with an argument is 400, and the connection lives on",
    send: ["QUIT now", "COUNT"],
    expect: ["400 BADREQUEST too many arguments; usage: QUIT", "200 OK 0"],
  },
  {
    name: "QUIT answers what stands before it, and what stands behind it is not run",
    send: "PUT a 1\r\nGET a\r\nQUIT\r\nGET a\r\nDELETE a\r\n",
    expect: ["200 OK", "200 OK 1", "200 OK"],
    ends: true,
  },
];

const help: ProtocolCase[] = [
  {
    name: "HELP lists the operations, a line each, in the order of their verbs",
    send: ["HELP"],
    expect: [
      "200-ADD key value <text>",
      "…",
      "200-GET key <text>",
      "…",
      "200-KEYS [prefix [after]] <text>",
      "…",
      "200-TTL key <text>",
      "200 OK",
    ],
  },
  {
    name: "HELP with a verb shows its usage, what it does, and its replies",
    send: ["HELP GET"],
    expect: [
      "200-GET key",
      "200-Return the value stored under a key",
      "200-  200: the value",
      "200-  404: the key has no value",
      "200 OK",
    ],
  },
  {
    name: "HELP takes a verb in any case",
    send: ["help Quit"],
    expect: ["200-QUIT", "…", "200 OK"],
  },
  {
    name: "HELP with a word that is no verb is 404",
    send: ["HELP NOSUCH", "HELP constructor", "HELP __proto__", "HELP ſTATS"],
    expect: Array(4).fill("404 NOT FOUND"),
  },
  {
    name: "HELP with two verbs is 400",
    send: ["HELP GET PUT"],
    expect: ["400 BADREQUEST too many arguments; usage: HELP [verb]"],
  },
  {
    name: "HELP with a control character is 400",
    send: ["HELP \x07"],
    expect: ["400 BADREQUEST control character in verb; usage: HELP [verb]"],
  },
];

const count: ProtocolCase[] = [
  {
    name: "COUNT returns the number of keys",
    send: ["COUNT", "PUT a 1", "PUT b 1", "PUT a 2", "COUNT", "DELETE a", "COUNT"],
    expect: ["200 OK 0", "200 OK", "200 OK", "200 OK", "200 OK 2", "200 OK", "200 OK 1"],
  },
  {
    name: "COUNT with an argument is 400",
    send: ["COUNT a"],
    expect: ["400 BADREQUEST too many arguments; usage: COUNT"],
  },
];

const keys: ProtocolCase[] = [
  {
    name: "KEYS of an empty table lists nothing",
    send: ["KEYS"],
    expect: ["200 OK 0"],
  },
  {
    name: "KEYS lists all keys in the order of their code points, and says how many",
    send: ["PUT b 1", "PUT a 1", "PUT B 1", "PUT é 1", "PUT \u{1f5dd} 1", "PUT \uffee 1", "KEYS"],
    expect: [
      ...Array(6).fill("200 OK"),
      "200-B",
      "200-a",
      "200-b",
      "200-é",
      "200-\uffee",
      "200-\u{1f5dd}",
      "200 OK 6",
    ],
  },
  {
    name: "KEYS with a prefix lists the keys that begin with it",
    send: ["PUT user:1 a", "PUT user:2 b", "PUT user 1", "PUT uses 1", "KEYS user:", "KEYS x"],
    expect: [...Array(4).fill("200 OK"), "200-user:1", "200-user:2", "200 OK 2", "200 OK 0"],
  },
  {
    name: "KEYS with a key to come after lists what is behind it",
    send: ["PUT k1 a", "PUT k2 b", "PUT k3 c", "KEYS k k1", "KEYS k k15", "KEYS k k3"],
    expect: [
      ...Array(3).fill("200 OK"),
      ...["200-k2", "200-k3", "200 OK 2"],
      ...["200-k2", "200-k3", "200 OK 2"],
      "200 OK 0",
    ],
  },
  {
    name: "KEYS with * for a prefix pages through all keys, whatever they begin with",
    send: ["PUT a 1", "PUT b 2", "PUT *c 3", "KEYS *", "KEYS * a"],
    expect: [
      ...Array(3).fill("200 OK"),
      ...["200-*c", "200-a", "200-b", "200 OK 3"],
      ...["200-b", "200 OK 1"],
    ],
  },
  {
    name: "KEYS with three arguments is 400",
    send: ["KEYS a b c"],
    expect: ["400 BADREQUEST too many arguments; usage: KEYS [prefix [after]]"],
  },
  {
    name: "KEYS with a control character is 400",
    send: ["KEYS a\t", "KEYS a b\x1b"],
    expect: [
      "400 BADREQUEST control character in prefix; usage: KEYS [prefix [after]]",
      "400 BADREQUEST control character in after; usage: KEYS [prefix [after]]",
    ],
  },
];

const add: ProtocolCase[] = [
  {
    name: "ADD stores a value where the key has none",
    send: ["ADD a one  two ", "GET a"],
    expect: ["200 OK", "200 OK one  two "],
  },
  {
    name: "ADD where the key has a value is 409, and the value stays",
    send: ["PUT a 1", "ADD a 2", "GET a", "DELETE a", "ADD a 2", "GET a"],
    expect: [
      ...["200 OK", "409 CONFLICT the key has a value", "200 OK 1"],
      ...["200 OK", "200 OK", "200 OK 2"],
    ],
  },
  {
    name: "ADD without a value is 400",
    send: ["ADD", "ADD a", "ADD a "],
    expect: Array(3).fill("400 BADREQUEST too few arguments; usage: ADD key value"),
  },
  {
    name: "ADD with a control character is 400",
    send: ["ADD a\t 1", "ADD a \x00"],
    expect: [
      "400 BADREQUEST control character in key; usage: ADD key value",
      "400 BADREQUEST control character in value; usage: ADD key value",
    ],
  },
];

const gets: ProtocolCase[] = [
  {
    name: "GETS returns the version and the value",
    send: ["PUT a  one ", "GETS a"],
    expect: ["200 OK", "200 OK <version>  one "],
  },
  {
    name: "GETS of a key without a value is 404",
    send: ["GETS a"],
    expect: ["404 NOT FOUND"],
  },
  {
    name: "GETS without a key is 400",
    send: ["GETS"],
    expect: ["400 BADREQUEST too few arguments; usage: GETS key"],
  },
  {
    name: "GETS with two keys is 400",
    send: ["GETS a b"],
    expect: ["400 BADREQUEST too many arguments; usage: GETS key"],
  },
  {
    name: "GETS of a key with a control character is 400",
    send: ["GETS a\x00"],
    expect: ["400 BADREQUEST control character in key; usage: GETS key"],
  },
];

const cas: ProtocolCase[] = [
  {
    name: "CAS stores where the version is still the one that GETS gave, and returns the new one",
    send: ["PUT a 1", "GETS a", "CAS a <version> two ", "CAS a <version> three", "GET a"],
    expect: [
      "200 OK",
      "200 OK <version> 1",
      "200 OK <version>",
      "200 OK <version>",
      "200 OK three",
    ],
  },
  {
    name: "CAS with a version that is no longer is 409, and the value stays",
    send: ["PUT a 1", "GETS a", "PUT a 1", "CAS a <version> 2", "GET a"],
    expect: [
      ...["200 OK", "200 OK <version> 1", "200 OK"],
      ...["409 CONFLICT the key has another version", "200 OK 1"],
    ],
  },
  {
    name: "CAS with the version of a key that was removed and stored again is 409",
    send: ["PUT a 1", "GETS a", "DELETE a", "PUT a 1", "CAS a <version> 2"],
    expect: [
      ...["200 OK", "200 OK <version> 1", "200 OK", "200 OK"],
      "409 CONFLICT the key has another version",
    ],
  },
  {
    name: "CAS with a version that was never given is 409",
    send: ["PUT a 1", "CAS a -1 2", "CAS a 9223372036854775807 2", "GET a"],
    expect: [
      "200 OK",
      ...Array(2).fill("409 CONFLICT the key has another version"),
      "200 OK 1",
    ],
  },
  {
    name: "CAS of a key without a value is 404, and stores nothing",
    send: ["CAS a 1 x", "GET a"],
    expect: ["404 NOT FOUND", "404 NOT FOUND"],
  },
  {
    name: "CAS with a version that is no whole number is 400",
    send: ["CAS a one x", "CAS a 1.5 x", "CAS a 0x1 x", "CAS a 99999999999999999999 x"],
    expect: Array(4).fill("400 BADREQUEST the version is no whole number"),
  },
  {
    name: "CAS without a value, a version or a key is 400",
    send: ["CAS a 1 ", "CAS a 1", "CAS a", "CAS"],
    expect: Array(4).fill("400 BADREQUEST too few arguments; usage: CAS key version value"),
  },
  {
    name: "CAS with a control character is 400",
    send: ["CAS \x01 1 x", "CAS a 1\t x", "CAS a 1 \x7f"],
    expect: [
      "400 BADREQUEST control character in key; usage: CAS key version value",
      "400 BADREQUEST control character in version; usage: CAS key version value",
      "400 BADREQUEST control character in value; usage: CAS key version value",
    ],
  },
];

const incr: ProtocolCase[] = [
  {
    name: "INCR adds 1, and a key without a value counts as 0",
    send: ["INCR a", "INCR a", "GET a"],
    expect: ["200 OK 1", "200 OK 2", "200 OK 2"],
  },
  {
    name: "INCR adds another whole number, which may be negative",
    send: ["PUT a 40", "INCR a 2", "INCR a -50", "INCR a 0"],
    expect: ["200 OK", "200 OK 42", "200 OK -8", "200 OK -8"],
  },
  {
    name: "INCR of a value that is no integer is 409, and the value stays",
    send: ["PUT a ten", "INCR a", "PUT b 1.5", "INCR b", "PUT c  1", "INCR c", "GET a"],
    expect: [
      ...["200 OK", "409 CONFLICT the value is no 64-bit integer"],
      ...["200 OK", "409 CONFLICT the value is no 64-bit integer"],
      ...["200 OK", "409 CONFLICT the value is no 64-bit integer"],
      "200 OK ten",
    ],
  },
  {
    name: "INCR past 64 bits is 409, and the value stays",
    send: ["PUT a 9223372036854775806", "INCR a", "INCR a", "GET a"],
    expect: [
      ...["200 OK", "200 OK 9223372036854775807"],
      ...["409 CONFLICT the value would overflow", "200 OK 9223372036854775807"],
    ],
  },
  {
    name: "INCR by what is no 64-bit integer is 400",
    send: ["INCR a x", "INCR a 1.5", "INCR a +1", "INCR a 9223372036854775808", "GET a"],
    expect: [...Array(4).fill("400 BADREQUEST the step is no 64-bit integer"), "404 NOT FOUND"],
  },
  {
    name: "INCR without a key is 400",
    send: ["INCR"],
    expect: ["400 BADREQUEST too few arguments; usage: INCR key [by]"],
  },
  {
    name: "INCR with three arguments is 400",
    send: ["INCR a 1 2"],
    expect: ["400 BADREQUEST too many arguments; usage: INCR key [by]"],
  },
  {
    name: "INCR with a control character is 400",
    send: ["INCR a\x00", "INCR a 1\t"],
    expect: [
      "400 BADREQUEST control character in key; usage: INCR key [by]",
      "400 BADREQUEST control character in by; usage: INCR key [by]",
    ],
  },
];

const expire: ProtocolCase[] = [
  {
    name: "EXPIRE lets a key end, and its value stays until then",
    send: ["PUT a 1", "EXPIRE a 60", "GET a", "EXPIRE a 0.001"],
    expect: ["200 OK", "200 OK", "200 OK 1", "200 OK"],
  },
  {
    name: "EXPIRE of a key without a value is 404",
    send: ["EXPIRE a 60"],
    expect: ["404 NOT FOUND"],
  },
  {
    name: "EXPIRE with seconds that are no number from 0.001 up is 400",
    send: [
      "PUT a 1",
      ...["0", "0.0", "0.0004", "-1", "1e3", "soon", ".5", "5."].map(expireA),
      "TTL a",
    ],
    expect: [
      "200 OK",
      ...Array(8).fill("400 BADREQUEST seconds must be a number from 0.001 up"),
      "200 OK none",
    ],
  },
  {
    name: "EXPIRE without seconds is 400",
    send: ["EXPIRE", "EXPIRE a"],
    expect: Array(2).fill("400 BADREQUEST too few arguments; usage: EXPIRE key seconds"),
  },
  {
    name: "EXPIRE with three arguments is 400",
    send: ["EXPIRE a 1 2"],
    expect: ["400 BADREQUEST too many arguments; usage: EXPIRE key seconds"],
  },
  {
    name: "EXPIRE of a key with a control character is 400",
    send: ["EXPIRE a\x1b 1"],
    expect: ["400 BADREQUEST control character in key; usage: EXPIRE key seconds"],
  },
];

function expireA(seconds: string): string {
  return `EXPIRE a ${seconds}`;
}

const ttl: ProtocolCase[] = [
  {
    name: "TTL returns the seconds that a key has left",
    send: ["PUT a 1", "EXPIRE a 100000.5", "TTL a"],
    expect: ["200 OK", "200 OK", "200 OK <number>"],
  },
  {
    name: "TTL of a key that does not end is none",
    send: ["PUT a 1", "TTL a"],
    expect: ["200 OK", "200 OK none"],
  },
  {
    name: "TTL of a key without a value is 404",
    send: ["TTL a"],
    expect: ["404 NOT FOUND"],
  },
  {
    name: "TTL without a key is 400",
    send: ["TTL"],
    expect: ["400 BADREQUEST too few arguments; usage: TTL key"],
  },
  {
    name: "TTL with two keys is 400",
    send: ["TTL a b"],
    expect: ["400 BADREQUEST too many arguments; usage: TTL key"],
  },
  {
    name: "TTL of a key with a control character is 400",
    send: ["TTL a\t"],
    expect: ["400 BADREQUEST control character in key; usage: TTL key"],
  },
];

const persist: ProtocolCase[] = [
  {
    name: "PERSIST takes the end off a key",
    send: ["PUT a 1", "EXPIRE a 60", "PERSIST a", "TTL a", "GET a"],
    expect: ["200 OK", "200 OK", "200 OK", "200 OK none", "200 OK 1"],
  },
  {
    name: "PERSIST of a key that does not end is 200 too",
    send: ["PUT a 1", "PERSIST a"],
    expect: ["200 OK", "200 OK"],
  },
  {
    name: "PERSIST of a key without a value is 404",
    send: ["PERSIST a"],
    expect: ["404 NOT FOUND"],
  },
  {
    name: "PERSIST without a key is 400",
    send: ["PERSIST"],
    expect: ["400 BADREQUEST too few arguments; usage: PERSIST key"],
  },
  {
    name: "PERSIST with two keys is 400",
    send: ["PERSIST a b"],
    expect: ["400 BADREQUEST too many arguments; usage: PERSIST key"],
  },
  {
    name: "PERSIST of a key with a control character is 400",
    send: ["PERSIST a\x7f"],
    expect: ["400 BADREQUEST control character in key; usage: PERSIST key"],
  },
];

const stats: ProtocolCase[] = [
  {
    name: "STATS lists figures, a line each",
    send: ["PUT a 1", "STATS"],
    expect: [
      ...["200 OK", "200-version <text>", "200-table memory", "200-uptime_seconds <number>"],
      ...["200-keys 1", "…", "200-connections <number>", "…", "200-memory_bytes <number>", "…"],
      ...["200-requests_put_200 <number>", "…", "200 OK"],
    ],
  },
  {
    name: "STATS with an argument is 400",
    send: ["STATS all"],
    expect: ["400 BADREQUEST too many arguments; usage: STATS"],
  },
];

const auth: ProtocolCase[] = [
  {
    name: "AUTH is 200 where no password is set",
    send: ["AUTH anything", "COUNT"],
    expect: ["200 OK", "200 OK 0"],
  },
  {
    name: "AUTH without a password is 400",
    send: ["AUTH", "AUTH "],
    expect: Array(2).fill("400 BADREQUEST too few arguments; usage: AUTH password"),
  },
  {
    name: "AUTH with a control character is 400",
    send: ["AUTH a\x00"],
    expect: ["400 BADREQUEST control character in value; usage: AUTH password"],
  },
  {
    name: "AUTH with the password, its spaces too, lets the other operations run",
    server: "password",
    send: ["GET a", "AUTH open sesame ", "GET a"],
    expect: ["401 UNAUTHORIZED", "200 OK", "404 NOT FOUND"],
  },
  {
    name: "AUTH with a wrong password is 401, and the third ends the connection",
    server: "password",
    send: ["AUTH open sesame", "AUTH  open sesame ", "AUTH OPEN SESAME "],
    expect: ["401 UNAUTHORIZED", "401 UNAUTHORIZED", "401 UNAUTHORIZED"],
    ends: true,
  },
  {
    name: "without the password no operation of the table runs",
    server: "password",
    send: [
      ...["GET a", "PUT a 1", "DELETE a", "CLEAR", "COUNT", "KEYS", "ADD a 1", "GETS a"],
      ...["CAS a 1 1", "INCR a", "EXPIRE a 1", "TTL a", "PERSIST a", "STATS"],
      ...["AUTH open sesame ", "COUNT"],
    ],
    expect: [...Array(14).fill("401 UNAUTHORIZED"), "200 OK", "200 OK 0"],
  },
  {
    name: "without the password HELP and QUIT run",
    server: "password",
    send: ["HELP QUIT", "QUIT"],
    expect: ["200-QUIT", "…", "200 OK", "200 OK"],
    ends: true,
  },
  {
    name: "220 comes before 401, and 401 before the 400 for arguments",
    server: "password",
    send: ["NOSUCH", "GET", "PUT a", "CLEAR a b"],
    expect: ["220 UNSUPPORTED", ...Array(3).fill("401 UNAUTHORIZED")],
  },
  {
    name: "without the password a line that is no request is 400 as ever",
    server: "password",
    send: bytes("\r\n", 0xc3, "\r\n", "x".repeat(1_025), "\r\n", "COUNT\r\n"),
    expect: [
      ...["400 BADREQUEST empty line", "400 BADREQUEST line not UTF-8"],
      ...["400 BADREQUEST line too long", "401 UNAUTHORIZED"],
    ],
  },
];

const verbs: ProtocolCase[] = [
  {
    name: "a verb may be in upper, lower or mixed case",
    send: ["put a 1", "Get a", "gEt a", "GET a", "cOUNT"],
    expect: ["200 OK", "200 OK 1", "200 OK 1", "200 OK 1", "200 OK 1"],
  },
  {
    name: "an unknown verb is 220",
    send: ["SET a 1", "GETX a", "GE", "G", "GET: a", "*3", "$3", "200 OK", "-"],
    expect: Array(9).fill("220 UNSUPPORTED"),
  },
  {
    name: "what every JavaScript object has is no verb",
    send: ["constructor", "toString", "TOSTRING", "__proto__", "hasOwnProperty", "size", "then"],
    expect: Array(7).fill("220 UNSUPPORTED"),
  },
  {
    name: "letters that only become ASCII by a change of case make no verb",
    send: ["ſTATS", "ſtats", "GETſ a", "\u212aEYS", "\u212aeys", "ıNCR a", "QUıT", "ＧＥＴ a"],
    expect: Array(8).fill("220 UNSUPPORTED"),
  },
  {
    name: "a verb with U+FEFF before it is no verb",
    send: ["\ufeffCOUNT", "COUNT"],
    expect: ["220 UNSUPPORTED", "200 OK 0"],
  },
  {
    name: "a verb with a control character in it is no verb",
    send: ["COUNT\x00", "COUNT\t", "\tCOUNT", "\x1b[ACOUNT", "\x08"],
    expect: Array(5).fill("220 UNSUPPORTED"),
  },
  {
    name: "the name of a file of an operation is no verb",
    send: ["get.ts a", "../commands/get.ts", "commands/get"],
    expect: Array(3).fill("220 UNSUPPORTED"),
  },
];

const spaces: ProtocolCase[] = [
  {
    name: "spaces before the verb are ignored",
    send: ["  PUT a 1", "     GET a"],
    expect: ["200 OK", "200 OK 1"],
  },
  {
    name: "more than one space may separate fields",
    send: ["PUT    a 1", "GET     a", "INCR   a    5"],
    expect: ["200 OK", "200 OK 1", "200 OK 6"],
  },
  {
    name: "spaces behind the last field are ignored, where it is no value",
    send: ["PUT a 1", "GET a  ", "COUNT   ", "INCR a 2 "],
    expect: ["200 OK", "200 OK 1", "200 OK 1", "200 OK 3"],
  },
  {
    name: "TAB separates no fields",
    send: ["PUT\ta\t1", "PUT a\t1", "GET\ta"],
    expect: [
      "220 UNSUPPORTED",
      "400 BADREQUEST too few arguments; usage: PUT key value",
      "220 UNSUPPORTED",
    ],
  },
  {
    name: "the other spaces of Unicode separate no fields: they may be part of a key",
    send: ["PUT a\u00a0b 1", "PUT a\u3000b\u2003c 2", "GET a\u00a0b", "COUNT", "GET\u00a0a"],
    expect: ["200 OK", "200 OK", "200 OK 1", "200 OK 2", "220 UNSUPPORTED"],
  },
];

const keyRules: ProtocolCase[] = [
  {
    name: "a key may have 1,024 bytes",
    send: [
      ...[`PUT ${KEY_OF_1024_BYTES} 1`, `GET ${KEY_OF_1024_BYTES}`],
      ...[`PUT ${KEY_OF_1024_BYTES_IN_512_CHARACTERS} 2`],
      ...[`GET ${KEY_OF_1024_BYTES_IN_512_CHARACTERS}`],
      ...[`PUT ${"\u{1f5dd}".repeat(256)} 3`, "COUNT"],
    ],
    expect: ["200 OK", "200 OK 1", "200 OK", "200 OK 2", "200 OK", "200 OK 3"],
  },
  {
    name: "a key of 1,025 bytes is 400, however few characters it has",
    send: [
      ...[`PUT ${KEY_OF_1024_BYTES}k 1`, `PUT ${KEY_OF_1024_BYTES_IN_512_CHARACTERS}k 1`],
      ...[`PUT ${"€".repeat(341)}xy 1`, `PUT ${"\u{1f5dd}".repeat(256)}k 1`, "COUNT"],
    ],
    expect: [
      ...Array(4).fill("400 BADREQUEST key longer than 1024 bytes; usage: PUT key value"),
      "200 OK 0",
    ],
  },
  {
    name: "a key of 1,025 bytes is 400 for every operation that takes a key",
    send: ["GET", "DELETE", "GETS", "INCR", "TTL", "PERSIST"].map((verb) =>
      `${verb} ${KEY_OF_1024_BYTES}k`
    ),
    expect: ["GET key", "DELETE key", "GETS key", "INCR key [by]", "TTL key", "PERSIST key"].map(
      (usage) => `400 BADREQUEST key longer than 1024 bytes; usage: ${usage}`,
    ),
  },
  {
    name: "a key may be named as what every JavaScript object has",
    send: [
      ...["GET __proto__", "GET constructor", "GET toString"],
      ...["PUT __proto__ 1", "PUT constructor 2", "PUT toString 3", "GET __proto__"],
      ...["GET constructor", "DELETE toString", "GET toString", "KEYS __"],
    ],
    expect: [
      ...Array(3).fill("404 NOT FOUND"),
      ...["200 OK", "200 OK", "200 OK", "200 OK 1"],
      ...["200 OK 2", "200 OK", "404 NOT FOUND", "200-__proto__", "200 OK 1"],
    ],
  },
  {
    name: "a key may hold any other sign",
    send: ["PUT 'OR'1'='1 1", "PUT ../../etc 2", "PUT %00 3", "GET 'OR'1'='1", "GET ../../etc"],
    expect: ["200 OK", "200 OK", "200 OK", "200 OK 1", "200 OK 2"],
  },
];

const lineEnds: ProtocolCase[] = [
  {
    name: "a line ends with LF, or with CR LF",
    send: "PUT a 1\nGET a\r\nGET a\n",
    expect: ["200 OK", "200 OK 1", "200 OK 1"],
  },
  {
    name: "a CR alone ends no line",
    send: "PUT a 1\rPUT b 2\r\nCOUNT\r\n",
    expect: ["400 BADREQUEST control character in value; usage: PUT key value", "200 OK 0"],
  },
  {
    name: "of CR CR LF one CR belongs to the line, which is 400 for it",
    send: "PUT a 1\r\r\nGET a\r\r\nCOUNT\r\n",
    expect: [
      "400 BADREQUEST control character in value; usage: PUT key value",
      "400 BADREQUEST control character in key; usage: GET key",
      "200 OK 0",
    ],
  },
  {
    name: "an empty line is 400, and the lines around it are served",
    send: "COUNT\r\n\r\n\nCOUNT\r\n",
    expect: ["200 OK 0", ...Array(2).fill("400 BADREQUEST empty line"), "200 OK 0"],
  },
  {
    name: "a line of spaces is 400",
    send: [" ", "     "],
    expect: Array(2).fill("400 BADREQUEST empty line"),
  },
  {
    name: "what nothing ended is dropped: half a PUT is no PUT",
    send: "PUT balance 1000\r\nGET balance\r\nPUT balance 10",
    expect: ["200 OK", "200 OK 1000"],
  },
  {
    name: "what a CR alone ended at the end of the stream is dropped too",
    send: "COUNT\nCLEAR\r",
    expect: ["200 OK 0"],
  },
  {
    name: "a client that sends nothing gets nothing",
    send: "",
    expect: [],
  },
];

const lineLimit: ProtocolCase[] = [
  {
    name: "a line of as many bytes as are allowed is served, CR LF not counted",
    server: "short lines",
    send: [`PUT a ${"v".repeat(58)}`, `PUT b ${"é".repeat(29)}`, "GET a"],
    expect: ["200 OK", "200 OK", `200 OK ${"v".repeat(58)}`],
  },
  {
    name: "a line of one byte more is 400, and the connection lives on",
    server: "short lines",
    send: [`PUT a ${"v".repeat(59)}`, `PUT b ${"é".repeat(29)}x`, "COUNT"],
    expect: [...Array(2).fill("400 BADREQUEST line too long"), "200 OK 0"],
  },
  {
    name: "a long line is 400 once, however long it is, and no part of it is run",
    server: "short lines",
    send: `PUT a ${"CLEAR ".repeat(1_000)}\r\nCOUNT\r\n${" ".repeat(200)}COUNT\n`,
    expect: ["400 BADREQUEST line too long", "200 OK 0", "400 BADREQUEST line too long"],
  },
  {
    name: "a long line is 400 in its place among others",
    server: "short lines",
    send: `PUT a 1\nPUT a ${"x".repeat(100)}\nGET a\n${"y".repeat(65)}\nCOUNT\n`,
    expect: [
      ...["200 OK", "400 BADREQUEST line too long", "200 OK 1"],
      ...["400 BADREQUEST line too long", "200 OK 1"],
    ],
  },
  {
    name: "a long line that nothing ended is dropped",
    server: "short lines",
    send: `COUNT\n${"x".repeat(1_000)}`,
    expect: ["200 OK 0"],
  },
  {
    name: "a long line that is no UTF-8 is too long",
    server: "short lines",
    send: bytes("x".repeat(65), 0xc3, "\r\nCOUNT\r\n"),
    expect: ["400 BADREQUEST line too long", "200 OK 0"],
  },
  {
    name: "telnet's bytes do not count",
    server: "short lines",
    send: bytes("PUT a ", IAC, NOP, IAC, DO, ECHO, "v".repeat(58), "\r\nGET a\r\n"),
    expect: ["200 OK", `200 OK ${"v".repeat(58)}`],
  },
  {
    name: "by default a line has at most 1,048,576 bytes",
    send: `PUT a ${VALUE_OF_1_MIB}\r\nPUT a ${VALUE_OF_1_MIB}x\r\nGET a\r\n`,
    expect: ["200 OK", "400 BADREQUEST line too long", `200 OK ${VALUE_OF_1_MIB}`],
  },
];

const notUtf8: ProtocolCase[] = [
  {
    name: "a line that is no UTF-8 is 400, and the lines around it are served",
    send: bytes("PUT a 1\r\nPUT a ", 0xc3, 0x28, "\r\nGET a\r\n"),
    expect: ["200 OK", "400 BADREQUEST line not UTF-8", "200 OK 1"],
  },
  {
    name: "a character that is cut, too long for what it is, or half a pair is no UTF-8",
    send: bytes(
      ...["GET ", 0xe2, 0x82, "\n", "GET ", 0xc0, 0xaf, "\n", "GET ", 0xed, 0xa0, 0x80, "\n"],
      ...["GET ", 0xf4, 0x90, 0x80, 0x80, "\n", "GET ", 0x80, "\n", 0xfe, "\n", "COUNT\n"],
    ),
    expect: [...Array(6).fill("400 BADREQUEST line not UTF-8"), "200 OK 0"],
  },
  {
    name: "two keys of bytes that no decoder knows are not made one",
    send: bytes("PUT ", 0xf5, " 1\nPUT ", 0xf6, " 2\nCOUNT\n"),
    expect: [...Array(2).fill("400 BADREQUEST line not UTF-8"), "200 OK 0"],
  },
  {
    name: "text in Latin-1 is no UTF-8",
    send: bytes("PUT gr", 0xf6, 0xdf, "e 1\r\n"),
    expect: ["400 BADREQUEST line not UTF-8"],
  },
];

const telnet: ProtocolCase[] = [
  {
    name: "telnet's options are taken out, wherever they stand",
    send: bytes(
      ...[IAC, DO, ECHO, "PU", IAC, WILL, WINDOW_SIZE, "T a ", IAC, WONT, ECHO, "1", IAC, DONT],
      ...[ECHO, "\r", IAC, DO, ECHO, "\nGET a\r\n"],
    ),
    expect: ["200 OK", "200 OK 1"],
  },
  {
    name: "telnet's commands of two bytes are taken out",
    send: bytes(
      ...[IAC, NOP, "PUT", IAC, BREAK, " a", IAC, INTERRUPT, " 1", IAC, ERASE, "\r\n"],
      ...[IAC, AYT, "GET a\r\n"],
    ),
    expect: ["200 OK", "200 OK 1"],
  },
  {
    name: "a subnegotiation is taken out, with the line end and the doubled IAC in it",
    send: bytes(
      ...["PUT a ", IAC, SB, WINDOW_SIZE, 0, 80, "\nCLEAR\n", IAC, IAC, SE, IAC, SE],
      "1\r\nGET a\r\n",
    ),
    expect: ["200 OK", "200 OK 1"],
  },
  {
    name: "a subnegotiation that nothing ends swallows what follows, and runs none of it",
    send: bytes("PUT a 1\r\n", IAC, SB, WINDOW_SIZE, "\r\nCLEAR\r\nCOUNT\r\n"),
    expect: ["200 OK"],
  },
  {
    name: "a doubled IAC is the byte 0xFF, which is no UTF-8",
    send: bytes("GET ", IAC, IAC, "\r\nCOUNT\r\n"),
    expect: ["400 BADREQUEST line not UTF-8", "200 OK 0"],
  },
  {
    name: "an option whose number is CR, LF or IAC is taken out whole",
    send: bytes("COUNT", IAC, DO, 10, IAC, WILL, 13, IAC, DO, IAC, "\r\n"),
    expect: ["200 OK 0"],
  },
  {
    name: "CR NUL ends a line as CR LF does",
    send: "PUT a 1\r\0GET a\r\0\r\0COUNT\r\n",
    expect: ["200 OK", "200 OK 1", "400 BADREQUEST empty line", "200 OK 1"],
  },
  {
    name: "NUL that stands behind no CR is a control character",
    send: "GET a\0\r\nPUT a \0\r\n",
    expect: [
      "400 BADREQUEST control character in key; usage: GET key",
      "400 BADREQUEST control character in value; usage: PUT key value",
    ],
  },
  {
    name: "a client that opens with its wishes, as many telnet programs do, is served",
    send: bytes(
      ...[IAC, DO, 3, IAC, WILL, 24, IAC, WILL, WINDOW_SIZE, IAC, WILL, 32, IAC, WILL, 33],
      ...[IAC, WILL, 34, IAC, WILL, 39, IAC, DO, 5, "COUNT\r\n"],
    ),
    expect: ["200 OK 0"],
  },
  {
    name: "the rest of a Synch, whose IAC comes beside the stream, costs one line at most",
    send: bytes("PUT a 1\r\n", SYNCH, "GET a\r\nGET a\r\n"),
    expect: ["200 OK", "400 BADREQUEST line not UTF-8", "200 OK 1"],
  },
  {
    name: "the Ctrl-C of a telnet in character mode costs one line at most",
    send: "PUT a 1\r\0\x03GET a\r\0GET a\r\0",
    expect: ["200 OK", "220 UNSUPPORTED", "200 OK 1"],
  },
];

const HTTP_REFUSED = "400 BADREQUEST HTTP is not spoken here";

const otherProtocols: ProtocolCase[] = [
  {
    name: "an HTTP request is refused, and nothing of what follows is run",
    send: "PUT /a HTTP/1.1\r\nPUT a 1\r\nCOUNT\r\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "an HTTP request of any version and any method is refused",
    send: "OPTIONS * HTTP/1.0\nCOUNT\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "the preface of HTTP/2 is refused",
    send: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "an HTTP request is refused without the password too",
    server: "password",
    send: "GET / HTTP/1.1\r\nAUTH open sesame \r\nCLEAR\r\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "a line that begins with Host: is refused wherever it stands, in any case",
    send: "COUNT\r\nhOST: 127.0.0.1:5395\r\nPUT a 1\r\n",
    expect: ["200 OK 0", HTTP_REFUSED],
    ends: true,
  },
  {
    name: "a page that makes a browser POST a line is stopped at its first line",
    send: "POST / HTTP/1.1\r\nHost: localhost:5395\r\nContent-Length: 7\r\n\r\nCLEAR\r\n",
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "an HTTP request whose first line is too long is stopped at its Host",
    server: "short lines",
    send: `GET /${"x".repeat(100)} HTTP/1.1\r\nHost: a\r\n\r\nCLEAR\r\n`,
    expect: ["400 BADREQUEST line too long", HTTP_REFUSED],
    ends: true,
  },
  {
    name: "a first line that ends as an HTTP request does is refused, whatever its verb",
    send: ["PUT a GET / HTTP/1.1"],
    expect: [HTTP_REFUSED],
    ends: true,
  },
  {
    name: "a value that ends in an HTTP version is stored where it is not the first line",
    send: ["COUNT", "PUT protocol HTTP/1.1", "GET protocol"],
    expect: ["200 OK 0", "200 OK", "200 OK HTTP/1.1"],
  },
  {
    name: "a value may speak of Host:",
    send: ["PUT a Host: x", "GET a"],
    expect: ["200 OK", "200 OK Host: x"],
  },
  {
    name: "a first line that has no HTTP version at its end is a request of ours",
    send: ["PUT a HTTP/1.1 is not spoken", "PUT b xHTTP/1.1", "GET a"],
    expect: ["200 OK", "200 OK", "200 OK HTTP/1.1 is not spoken"],
  },
  {
    name: "a TLS hello is refused at its first byte",
    send: bytes(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, "\nCLEAR\n"),
    expect: ["400 BADREQUEST TLS is not spoken on this port"],
    ends: true,
  },
  {
    name: "the byte that opens a TLS hello is a control character elsewhere, in the first line too",
    send: bytes("GET ", 0x16, "\r\n", 0x16, "\r\nCOUNT\r\n"),
    expect: [
      ...["400 BADREQUEST control character in key; usage: GET key"],
      ...["220 UNSUPPORTED", "200 OK 0"],
    ],
  },
  {
    name: "a request of RESP is no request of ours",
    send: "*2\r\n$3\r\nGET\r\n$1\r\na\r\n",
    expect: [
      ...["220 UNSUPPORTED", "220 UNSUPPORTED"],
      ...["400 BADREQUEST too few arguments; usage: GET key", "220 UNSUPPORTED", "220 UNSUPPORTED"],
    ],
  },
];

const pipelining: ProtocolCase[] = [
  {
    name: "each of many requests sent at once gets its reply, in their order",
    send: "PUT a 1\r\nGET a\r\nNOSUCH\r\nGET\r\nGET b\r\nINCR a\r\nDELETE a\r\nGET a\r\n",
    expect: [
      ...["200 OK", "200 OK 1", "220 UNSUPPORTED"],
      ...["400 BADREQUEST too few arguments; usage: GET key", "404 NOT FOUND", "200 OK 2"],
      ...["200 OK", "404 NOT FOUND"],
    ],
  },
  {
    name: "a reply of several lines stands whole among others",
    send: "PUT a 1\r\nKEYS\r\nGET a\r\nHELP COUNT\r\nKEYS x\r\n",
    expect: [
      ...["200 OK", "200-a", "200 OK 1", "200 OK 1"],
      ...["200-COUNT", "200-Return the number of keys", "200-  200: the number", "200 OK"],
      "200 OK 0",
    ],
  },
  {
    name: "a request that fails does not stop those behind it",
    send: "INCR a x\nINCR a\nINCR a\n\nGET a\n",
    expect: [
      ...["400 BADREQUEST the step is no 64-bit integer", "200 OK 1", "200 OK 2"],
      ...["400 BADREQUEST empty line", "200 OK 2"],
    ],
  },
];

/** Every case, in the order in which one would read them. */
export const PROTOCOL_CASES: readonly ProtocolCase[] = [
  ...[get, put, deleteCases, clear, quit],
  ...[add, cas, count, expire, gets, help, incr, keys, persist, stats, ttl, auth],
  ...[verbs, spaces, keyRules, lineEnds, lineLimit, notUtf8, telnet, otherProtocols, pipelining],
].flat();

/** What a case sends, as one piece: for tests that need no replies between its lines. */
export function bytesOf({ send }: ProtocolCase): Uint8Array<ArrayBuffer> {
  if (send instanceof Uint8Array) return send;
  return utf8.encode(typeof send === "string" ? send : send.map((line) => `${line}\r\n`).join(""));
}
