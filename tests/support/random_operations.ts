/**
 * Random operations on a table and, beside it, on the model, a Map: both must hold the same after each.
 *
 * `KEYLINE_FUZZ_SEED` repeats a run.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "npm:fast-check@4.10.2";
import { numberFrom } from "./harness.ts";
import { type Kind, MODEL_TABLE, TableSetup } from "./table_model.ts";

/** Tries so many sequences of operations on a table of this kind. */
export function checkRandomOperations(kind: Kind, { numRuns }: { numRuns: number }): void {
  const seed = numberFrom("KEYLINE_FUZZ_SEED", Date.now() % 1_000_000_000);
  console.log(`KEYLINE_FUZZ_SEED=${seed}`);
  const holds = fc.property(operations(), (sequence) => {
    using pair = new Pair(kind);
    for (const operation of sequence) {
      pair.do(operation);
      pair.check();
    }
  });
  fc.assert(holds, { numRuns, seed });
}

/** What a random sequence is made of; `ends` is in milliseconds from its moment on. */
type Operation =
  | { do: "put"; key: string; value: string; ends: number | null }
  | { do: "delete"; key: string }
  | { do: "expire"; key: string; ends: number | null }
  | { do: "undo"; back: number }
  | { do: "wait"; milliseconds: number }
  | { do: "list"; prefix: string; after: string; limit: number }
  | { do: "clear" | "commit" | "maintain" | "reopen" };

const KEYS = ["a", "ab", "b", "b\u{ffff}", "b\u{1f600}", "c", "d", "e"];

/** Sequences of operations, those that change something before all. */
function operations(): fc.Arbitrary<Operation[]> {
  const key = fc.constantFrom(...KEYS);
  const value = fc.oneof(
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }),
    fc.integer({ min: 1, max: 5_000 }).map((length) => "\u20ac".repeat(length)),
  );
  const milliseconds = fc.integer({ min: 0, max: 40 });
  const ends = fc.option(milliseconds, { freq: 2 });
  const just = <Verb extends string>(verb: Verb) => fc.constant(verb);
  const some = <Drawn>(weight: number, arbitrary: fc.Arbitrary<Drawn>) => ({ weight, arbitrary });
  return fc.array(
    fc.oneof(
      some(10, fc.record({ do: just("put"), key, value, ends })),
      some(4, fc.record({ do: just("delete"), key })),
      some(3, fc.record({ do: just("expire"), key, ends })),
      some(2, fc.record({ do: just("undo"), back: fc.integer({ min: 1, max: 4 }) })),
      some(3, fc.record({ do: just("wait"), milliseconds })),
      some(
        2,
        fc.record({
          do: just("list"),
          prefix: fc.constantFrom("", "a", "b", "x"),
          after: fc.constantFrom("", ...KEYS),
          limit: fc.integer({ min: 0, max: 5 }),
        }),
      ),
      some(10, fc.record({ do: just("commit") })),
      some(2, fc.record({ do: just("maintain") })),
      some(1, fc.record({ do: just("clear") })),
      some(1, fc.record({ do: just("reopen") })),
    ),
    { minLength: 20, maxLength: 120 },
  );
}

/** The table that is tried, beside the model to which the same is done. */
class Pair implements Disposable {
  readonly #tried: TableSetup;
  readonly #model = new TableSetup(MODEL_TABLE);
  /** The version that the tried table gave where the model gave this one. */
  readonly #versions = new Map<number | undefined, number>();
  /** A mark of each before every operation of this turn. */
  #marks: [tried: number, model: number, standing: number][] = [];
  #lastVersion = 0;
  /** The last one that was given and not undone. */
  #standingVersion = 0;
  /** A version given after this one and not committed may be given again: nobody saw it. */
  #committedVersion = 0;

  constructor(kind: Kind) {
    this.#tried = new TableSetup(kind);
  }

  do(operation: Operation): void {
    const marks = [this.#tried.table.mark(), this.#model.table.mark()] as const;
    this.#marks.push([...marks, this.#standingVersion]);
    switch (operation.do) {
      case "put":
        return this.#put(operation);
      case "wait":
        return this.#both((setup) => void (setup.now += operation.milliseconds));
      case "maintain": // What a step takes on is the table's own affair.
        return [this.#tried, this.#model].forEach((setup) => setup.table.maintain());
      case "reopen":
        this.#lastVersion = this.#standingVersion = this.#committedVersion;
        this.#marks = [];
        return this.#both((setup) => setup.reopen());
      case "commit":
        return this.#commit();
      case "list":
        return this.#both((setup) => setup.keys(operation));
      case "clear":
        return this.#both(({ table }) => table.clear());
      case "delete":
        return this.#both(({ table }) => table.delete(operation.key));
      case "expire":
        return this.#both(({ table, now }) =>
          table.expire(operation.key, operation.ends === null ? null : now + operation.ends)
        );
      case "undo":
        return this.#undo(operation.back);
    }
  }

  /** Both hold the same, whichever way one looks. */
  check(): void {
    for (const key of KEYS) {
      this.#both((setup) => setup.get(key));
      const [tried, model] = [this.#tried.entry(key), this.#model.entry(key)];
      assertEquals([tried?.value, tried?.expiresAt], [model?.value, model?.expiresAt]);
      assertEquals(tried?.version, this.#versions.get(model?.version));
    }
    this.#both(({ table }) => table.count());
    this.#both((setup) => setup.keys());
  }

  [Symbol.dispose](): void {
    this.#tried[Symbol.dispose]();
    this.#model[Symbol.dispose]();
  }

  #both(look: (setup: TableSetup) => unknown): void {
    assertEquals(look(this.#tried), look(this.#model), look.toString());
  }

  #commit(): void {
    // The results are not compared: one may have removed an expired key that is deleted here.
    this.#model.table.commit();
    if (this.#tried.table.commit()) this.#committedVersion = this.#standingVersion;
    this.#marks = [];
  }

  /** Undoes some operations of this turn. */
  #undo(back: number): void {
    this.#marks.splice(Math.max(0, this.#marks.length - back - 1) + 1);
    const [tried, model, standing] = this.#marks.pop()!;
    this.#standingVersion = standing;
    this.#tried.table.undo(tried);
    this.#model.table.undo(model);
  }

  #put({ key, value, ends }: { key: string; value: string; ends: number | null }): void {
    const [tried, model] = [this.#tried, this.#model].map(({ table, now }) =>
      table.put(key, value, ends === null ? undefined : { expiresAt: now + ends })
    );
    assert(tried! > this.#lastVersion, `version ${tried} after ${this.#lastVersion}`);
    this.#lastVersion = this.#standingVersion = tried!;
    this.#versions.set(model, tried!);
  }
}
