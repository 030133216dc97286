/**
 * What `--table etcd://host:port,host:port/prefix` means, and how to log in to the cluster. Pure, so that the
 * settings can be checked without loading the engine's client.
 *
 * @module
 */

/** Where a table is. */
export interface EtcdLocation {
  /** The nodes, as in `10.0.0.1:2379`. */
  readonly nodes: readonly string[];
  /** What all keys of the table begin with in the engine, with its last slash. */
  readonly prefix: string;
}

const SCHEME = "etcd://";
const PORT = "2379";
const PREFIX = "keyline";
const NODE = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/i;

/**
 * Parses a location. Throws TypeError, whose message says what is wrong and repeats nothing that may be
 * secret.
 */
export function parseLocation(text: string): EtcdLocation {
  if (!text.startsWith(SCHEME)) throw new TypeError(`it must begin with ${SCHEME}`);
  const [, list = "", path = ""] = /^([^/]*)\/?(.*)$/.exec(text.slice(SCHEME.length))!;
  if (list.includes("@")) {
    throw new TypeError(
      "a name and a password don't belong there, because other users can see the flags of a process",
    );
  }
  const nodes = list.split(",").map((node) => {
    const [, host, port = PORT] = NODE.exec(node) ?? [];
    if (host === undefined || Number(port) > 65_535) {
      throw new TypeError(`its nodes must be written as in ${SCHEME}10.0.0.1:2379,10.0.0.2:2379`);
    }
    return `${host}:${port}`;
  });
  const prefix = path.replace(/\/+$/, "") || PREFIX;
  if (!/^[\x21-\x7e]{1,256}$/.test(prefix)) {
    throw new TypeError("its prefix must be plain text without spaces, of at most 256 characters");
  }
  return { nodes, prefix: `${prefix}/` };
}

/** The same as text again. */
export function formatLocation({ nodes, prefix }: EtcdLocation): string {
  return `${SCHEME}${nodes.join(",")}/${prefix.slice(0, -1)}`;
}
