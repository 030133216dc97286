/**
 * A fake server that follows a random plan, and remembers which changes it made: the model that the client's outcomes
 * are held to.
 *
 * @module
 */

import fc from "npm:fast-check@4.10.2";
import type { FakeClient } from "./fake_server.ts";
import type { Script } from "./fault_scripts.ts";

/** What the server does with one line. */
export type Step =
  | "answer" // does it, and answers
  | "answer slowly" // and the reply comes late, byte by byte
  | "fail" // answers 500
  | "drop" // hangs up
  | "do and drop" // does it, and hangs up without an answer
  | "do and answer half" // does it, and hangs up in the middle of the answer
  | "do and babble" // does it, and answers with what is no reply
  | "do and misfit" // does it, and answers with a reply that no such request has
  | "do in silence"; // does it and all that follows, and answers nothing

/** What the server does on one connection. */
export interface Plan {
  /** How it greets. */
  readonly greeting: "greet" | "drop" | "busy" | "refuse" | "silence" | "half";
  /** What it does with the first lines; the others are answered. */
  readonly steps: readonly Step[];
}

/** Plans for a few connections. */
export const plans: fc.Arbitrary<Plan[]> = fc.array(
  fc.record({
    greeting: fc.oneof(
      { weight: 15, arbitrary: fc.constant<"greet">("greet") },
      fc.constantFrom<Plan["greeting"]>("drop", "busy", "refuse", "silence", "half"),
    ),
    steps: fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.constant<Step>("answer") },
        fc.constantFrom<Step>(
          "answer slowly",
          "fail",
          "drop",
          "do and drop",
          "do and answer half",
          "do and babble",
          "do and misfit",
          "do in silence",
        ),
      ),
      { maxLength: 8 },
    ),
  }),
  { maxLength: 5 },
);

/** What a server did on its connections. */
export class ModelServer {
  /** How often it made each change, by key. */
  readonly done = new Map<string, number>();
  /** The lines of each connection behind the greeting. */
  readonly lines: string[][] = [];

  /** A script for each plan, and one that answers everything. */
  scripts(plans: readonly Plan[]): Script[] {
    return [...plans, { greeting: "greet", steps: [] } as Plan].map((plan) => (client) =>
      this.#serve(client, plan)
    );
  }

  async #serve(client: FakeClient, { greeting, steps }: Plan): Promise<void> {
    if (await client.line() === undefined || greeting === "drop") return;
    if (greeting === "silence") return await rest(client);
    // A password is always given.
    const greetings = {
      greet: "200 OK\r\n200 OK\r\n",
      half: "200 OK\r\n200",
      busy: "503 BUSY\r\n",
    };
    await client.send(
      greeting === "refuse" ? "200 OK\r\n401 UNAUTHORIZED\r\n" : greetings[greeting],
    );
    if (await client.line() === undefined || greeting !== "greet") return;
    const lines: string[] = [];
    this.lines.push(lines);
    for (let i = 0;; i++) {
      const line = await client.line();
      if (line === undefined || line === "QUIT") return;
      lines.push(line);
      if (!await this.#take(line, { client, step: steps[i] ?? "answer" })) return;
    }
  }

  /** Takes a line. Returns whether the connection goes on. */
  async #take(
    line: string,
    { client, step }: { client: FakeClient; step: Step },
  ): Promise<boolean> {
    if (step === "drop") return false;
    if (step === "fail") {
      await client.send("500 ERROR not done\r\n");
      return true;
    }
    const reply = this.#do(line);
    switch (step) {
      case "answer":
        await client.send(reply);
        return true;
      case "answer slowly":
        for (const byte of new TextEncoder().encode(reply)) {
          await client.send(new Uint8Array([byte]));
        }
        return true;
      case "do and drop":
        return false;
      case "do and answer half":
        await client.send(reply.slice(0, 5));
        return false;
      case "do and babble":
        await client.send("hello\r\n");
        await rest(client);
        return false;
      case "do and misfit":
        await client.send("200-a\r\n200 OK\r\n");
        await rest(client);
        return false;
      case "do in silence":
        for (let next = await client.line(); next !== undefined; next = await client.line()) {
          if (next !== "QUIT") this.#do(next);
        }
        return false;
    }
  }

  /** Does what a line asks for, and returns the reply. */
  #do(line: string): string {
    const [verb, key = ""] = line.split(" ");
    if (verb === "GET") return `200 OK value of ${key}\r\n`;
    const times = this.done.get(key) ?? 0;
    if (verb === "ADD" && (times > 0 || isTaken(key))) {
      return "409 CONFLICT the key has a value\r\n";
    }
    this.done.set(key, times + 1);
    return verb === "INCR" ? `200 OK ${numberOf(key)}\r\n` : "200 OK\r\n";
  }
}

/** Whether a key had a value from the beginning. */
export function isTaken(key: string): boolean {
  return numberOf(key) % 3 === 0;
}

/** The number in a key, which is also the answer to INCR. */
export function numberOf(key: string): number {
  return Number(key.slice(1));
}

/** Reads until the client leaves. */
async function rest(client: FakeClient): Promise<void> {
  while (await client.line() !== undefined);
}
