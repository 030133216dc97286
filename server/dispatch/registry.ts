/**
 * Maps each verb to its operation. It reads the folder `commands/` when the server starts, so adding an
 * operation means adding a file. `request.ts` looks up the verb of each line.
 *
 * @module
 */

import type { TextLike } from "../../tables/text.ts";
import type { Command, OperationInfo, Operations } from "../command.ts";
import { UsageError } from "../settings/settings.ts";
import { CASE_BIT, Line } from "../input/line.ts";
import { Latency } from "../observe/metrics.ts";
import { type Arity, compileArity, usageOf } from "./arity.ts";

/** An operation on offer, with what its command's fields imply. */
export interface Operation extends OperationInfo {
  /** The verb as bytes, in upper case. */
  readonly letters: Uint8Array;
  /** The arguments that it takes. */
  readonly arity: Arity;
  /** Whether its first argument is a key. */
  readonly isKeyed: boolean;
}

/** The fields of a command. */
const FIELDS = [
  "summary",
  "details",
  "arity",
  "replies",
  "open",
  "changes",
  "readsValue",
  "handler",
];
const FILE = /^[a-z]+\.ts$/;
/** A power of two, well above the number of operations. */
const VERB_SLOTS = 256;
const CODE_MAX = 503;

/** A file of `commands/` that is not a command; the message names it and says how to fix it. */
export class BadCommandError extends Error {
  /** Takes the name of the file, what is wrong with it, and how to fix it. */
  constructor(file: string, why: string, options?: ErrorOptions) {
    super(`Cannot load commands/${file}: ${why}`, options);
  }
}

/** The operations on offer. */
export class Registry implements Operations {
  /** By the hash of the verb, which operations may share. A Map would need strings, and lines are bytes. */
  readonly #byVerb: (Operation[] | undefined)[] = new Array(VERB_SLOTS).fill(undefined);
  readonly #operations: readonly Operation[];

  /** Offers these commands except the disabled ones. Throws BadCommandError and UsageError. */
  constructor(commands: [verb: string, command: unknown][], disabled: readonly string[] = []) {
    const operations = commands.map(([verb, command]) => makeOperation(verb, command));
    const unknown = disabled.find((verb) => !operations.some((o) => o.verb === verb));
    if (unknown !== undefined) {
      throw new UsageError(
        `--disable names ${unknown}, which is not an operation. HELP lists them.`,
      );
    }
    this.#operations = operations
      .filter(({ verb }) => !disabled.includes(verb))
      .sort((a, b) => a.verb < b.verb ? -1 : 1);
    for (const operation of this.#operations) {
      const slot = Line.of(operation.verb).verbHash & (VERB_SLOTS - 1);
      (this.#byVerb[slot] ??= []).push(operation);
    }
  }

  /** The operation of a verb, in upper, lower or mixed case. */
  find(verb: TextLike): Operation | undefined {
    const line = Line.of(String(verb));
    const isVerbAlone = line.verbStart === line.start && line.verbEnd === line.end;
    return isVerbAlone ? this.operationOf(line) : undefined;
  }

  /** The operation that a line asks for. */
  operationOf(line: Line): Operation | undefined {
    const operations = this.#byVerb[line.verbHash & (VERB_SLOTS - 1)];
    if (operations === undefined) return undefined;
    for (let i = 0; i < operations.length; i++) {
      if (isVerb(line, operations[i]!.letters)) return operations[i];
    }
    return undefined;
  }

  /** All operations, in the order of their verbs. */
  [Symbol.iterator](): Iterator<Operation> {
    return this.#operations[Symbol.iterator]();
  }

  /** How many operations there are. */
  get size(): number {
    return this.#operations.length;
  }
}

/** Whether a verb has these upper-case letters. Verbs are ASCII, where one bit tells the case. */
function isVerb(
  { memory: { bytes }, verbStart: start, verbEnd: end }: Line,
  letters: Uint8Array,
): boolean {
  if (end - start !== letters.length) return false;
  for (let i = 0; i < letters.length; i++) {
    if ((bytes[start + i]! & ~CASE_BIT) !== letters[i]) return false;
  }
  return true;
}

/** Loads every file of the folder. Throws BadCommandError at the first that is not a command. */
export async function loadCommands(folder: URL): Promise<[verb: string, command: unknown][]> {
  const files = [...Deno.readDirSync(folder)].map((entry) => entry.name).sort();
  const commands: [string, unknown][] = [];
  for (const file of files) {
    const verb = verbOf(file);
    const other = files.find((other) => other !== file && verbOf(other) === verb);
    if (other !== undefined) {
      throw new BadCommandError(file, `${other} has the same verb. Remove or rename one of them.`);
    }
    if (!FILE.test(file)) {
      throw new BadCommandError(
        file,
        "its name is not a verb. Name it in lower-case letters, as in get.ts, or move it elsewhere.",
      );
    }
    commands.push([verb, await importCommand(new URL(file, folder), file)]);
  }
  return commands;
}

function verbOf(file: string): string {
  return file.replace(/\.ts$/, "").toUpperCase();
}

async function importCommand(url: URL, file: string): Promise<unknown> {
  try {
    const module = await import(url.href);
    return module.default;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BadCommandError(file, `it does not load. Mend what it says: ${why}`, {
      cause: error,
    });
  }
}

function makeOperation(verb: string, exported: unknown): Operation {
  const file = `${verb.toLowerCase()}.ts`;
  const fault = faultOfCommand(exported);
  if (fault !== undefined) throw new BadCommandError(file, fault);
  const command = exported as Command;
  let arity: Arity;
  try {
    arity = compileArity(command.arity);
  } catch (error) {
    throw new BadCommandError(file, `its ${(error as Error).message}.`);
  }
  const answered = new Float64Array(CODE_MAX + 1);
  const letters = new TextEncoder().encode(verb);
  const usage = usageOf(verb, arity);
  return {
    verb,
    letters,
    command,
    arity,
    isKeyed: arity.keys[0] === true,
    usage,
    answered,
    latency: new Latency(),
  };
}

/** Why a value is not a Command, and how to fix it; undefined if it is one. */
function faultOfCommand(exported: unknown): string | undefined {
  if (typeof exported !== "object" || exported === null) {
    return "it has no default export. Add `export default { … } satisfies Command<[…]>`.";
  }
  const unknown = Object.keys(exported).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) {
    return `it has no use for "${unknown}". Its fields are ${FIELDS.join(", ")}.`;
  }
  const { summary, arity, replies, open, changes, readsValue, handler } = exported as Record<
    string,
    unknown
  >;
  if (typeof summary !== "string" || summary === "") {
    return 'its summary is missing. Add summary: "what it does".';
  }
  if (!Array.isArray(arity) || !arity.every((name) => typeof name === "string")) {
    return 'its arity is missing or not a list of names. Add arity: ["key"], or [] for none.';
  }
  if (typeof replies !== "object" || replies === null) {
    return 'its replies are missing. Add replies: { 200: "what that means" }.';
  }
  if (typeof handler !== "function") {
    return "its handler is missing or not a function. Add handler(args, context) { … }.";
  }
  if (open !== undefined && open !== true) {
    return "its open is not true. Write open: true, or remove it.";
  }
  if (changes !== undefined && changes !== true) {
    return "its changes is not true. Write changes: true, or remove it.";
  }
  if (readsValue !== undefined && readsValue !== true) {
    return "its readsValue is not true. Write readsValue: true, or remove it.";
  }
  return undefined;
}
