/**
 * Environment variables that look like options and are not. The start warns about them, because a misspelled
 * one would otherwise be ignored silently.
 *
 * @module
 */

import { ENGINE_VARIABLES } from "../../tables/engines.ts";
import { type Flag, variableOf } from "./flags.ts";
import { OPTIONS } from "./settings.ts";

/** Settings with a variable but no flag, because other users can see the flags of a process. */
export const VARIABLES_ALONE: readonly string[] = ["KEYLINE_PASSWORD", ...ENGINE_VARIABLES];

/** A sentence for each variable that is not an option, with the option spelled most alike. */
export function unknownVariables(environment: Readonly<Record<string, string>>): string[] {
  const options = Object.entries<Flag>(OPTIONS).filter(([, { noVariable }]) => !noVariable);
  const known = [...options.map(([name]) => variableOf(name)), ...VARIABLES_ALONE];
  return Object.entries(environment)
    .filter(([name, value]) => name.startsWith("KEYLINE_") && value !== "" && !known.includes(name))
    .map(([name]) => `${name} is no option, and is ignored: did you mean ${nearest(name, known)}?`);
}

function nearest(word: string, words: readonly string[]): string {
  return words.reduce((best, other) => distance(word, other) < distance(word, best) ? other : best);
}

/** How many letters to add, remove or change to turn one word into another (Levenshtein distance). */
function distance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const changed = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(changed, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
