/**
 * What the shell knows about the server's operations, learned from HELP, so that it also knows new ones: it
 * completes words and shows which arguments are missing.
 *
 * @module
 */

import type { Client } from "../client/client.ts";
import { printable } from "./printable.ts";

/** How many keys are offered at once. */
const KEYS_MAX = 100;

/** An operation. */
interface Operation {
  readonly verb: string;
  /** What may follow the verb: `key`, `[prefix`, and so on. */
  readonly words: readonly string[];
}

/** Completes lines and shows which arguments are missing. */
export class Words {
  readonly #operations: Map<string, Operation>;

  private constructor(operations: Operation[]) {
    this.#operations = new Map(operations.map((operation) => [operation.verb, operation]));
  }

  /** Asks a server for its operations. */
  static async of(db: Client): Promise<Words> {
    const { lines } = await db.request("HELP").catch(() => ({ lines: [] as string[] }));
    return new Words(lines.map((line) => {
      const [usage = ""] = printable(line).split("  ", 1);
      const [verb = "", ...words] = usage.split(" ");
      return { verb, words };
    }));
  }

  /** Returns what a line lacks, such as ` value`; empty if it is complete or unknown. */
  hint(line: string): string {
    const [verb = "", ...typed] = line.trimStart().split(/ +/);
    const words = this.#operations.get(verb.toUpperCase())?.words;
    if (words === undefined) return "";
    // A word that is being typed is not missing; one that has not been begun is.
    const isBetween = typed.at(-1) === "";
    const missing = words.slice(isBetween ? typed.length - 1 : typed.length).join(" ");
    if (missing === "") return "";
    return isBetween ? balanced(missing) : ` ${balanced(missing)}`;
  }

  /** Returns the words that could replace the last one of a line. Throws what the client throws. */
  async complete(
    line: string,
    db: Client,
    signal?: AbortSignal,
  ): Promise<[candidates: string[], word: string]> {
    const parts = line.trimStart().split(/ +/);
    const word = parts.at(-1)!;
    if (parts.length === 1) return [this.#verbs(word), word];
    const verb = parts[0]!.toUpperCase();
    const expected = this.#operations.get(verb)?.words[parts.length - 2]?.replace(/^\[|\]+$/g, "");
    if (expected === "verb") return [this.#verbs(word), word];
    if (expected !== "key" && expected !== "prefix" && expected !== "after") return [[], word];
    const keys: string[] = [];
    for await (const key of db.keys(word, { signal })) {
      if (keys.push(key) >= KEYS_MAX) break;
    }
    // On the line that is typed, a key can't be shown otherwise than it is.
    return [keys.filter((key) => printable(key) === key), word];
  }

  /** The verbs that begin with a word, in the case of that word. */
  #verbs(word: string): string[] {
    const isLower = word !== "" && word === word.toLowerCase();
    const found = [...this.#operations.keys()].filter((verb) =>
      verb.startsWith(word.toUpperCase())
    );
    return found.map((verb) => `${isLower ? verb.toLowerCase() : verb} `);
  }
}

/** The end of `[prefix [after]]`, without unmatched closing brackets. */
function balanced(usage: string): string {
  const count = (bracket: string) => usage.split(bracket).length - 1;
  const surplus = count("]") - count("[");
  return surplus > 0 ? usage.slice(0, -surplus) : usage;
}
