/**
 * Checks that a history is linearizable: that every request that was answered could have taken place at
 * one moment between its call and its reply, with the reply that it got. Each key is checked by itself,
 * by search with a memory of what has been tried (Wing and Gong, with the cache of Lowe).
 *
 * @module
 */

/** A request that was made, and what became of it. */
export interface Event {
  /** The verb, the key and, where there are any, the further arguments. */
  readonly request: readonly [verb: string, key: string, ...rest: string[]];
  /** The last line of its reply; undefined where none came, and nobody knows whether it took place. */
  readonly reply: string | undefined;
  /** When it was sent, and when its reply came, by one clock. */
  readonly calledAt: number;
  readonly repliedAt: number;
}

/** What is stored under a key: nothing, or a value with a version that may not be known yet. */
interface State {
  readonly value: string | undefined;
  readonly version: string | undefined;
}

const NOTHING: State = { value: undefined, version: undefined };
/** How many steps a search may take, so that it ends. */
const STEPS_MAX = 5_000_000;

/** Why a history is not linearizable, by key; empty where it is. */
export function violationsOf(history: readonly Event[]): string[] {
  const keys = new Set(history.map(({ request: [, key] }) => key).filter((key) => key !== ""));
  // What was answered 500 has promised that it did not take place, and so it is left out.
  const events = history.filter(({ reply }) => !reply?.startsWith("500"));
  const violations: string[] = [];
  for (const key of keys) {
    // CLEAR has no key: it removes each of them.
    const own = events.filter(({ request: [, other] }) => other === key || other === "");
    const failure = violationOf(own);
    if (failure !== undefined) violations.push(`${key}: ${failure}`);
  }
  return violations;
}

/** Why the history of one key is not linearizable. */
function violationOf(history: readonly Event[]): string | undefined {
  const events = history
    .map((event) => ({
      ...event,
      repliedAt: event.reply === undefined ? Infinity : event.repliedAt,
    }))
    .sort((a, b) => a.calledAt - b.calledAt);
  const total = events.filter(({ reply }) => reply !== undefined).length;
  const tried = new Set<string>();
  const stack: { first: number; done: ReadonlySet<number>; answered: number; state: State }[] = [
    { first: 0, done: new Set(), answered: 0, state: NOTHING },
  ];
  let best = 0;
  for (let steps = 0; stack.length > 0; steps++) {
    if (steps > STEPS_MAX) return "the search takes too long";
    const { first, done, answered, state } = stack.pop()!;
    if (answered === total) return undefined;
    best = Math.max(best, answered);
    // Only what was called before the first of the others was answered can be next.
    let until = Infinity;
    const candidates: number[] = [];
    for (let i = first; i < events.length && events[i]!.calledAt <= until; i++) {
      if (done.has(i)) continue;
      candidates.push(i);
      until = Math.min(until, events[i]!.repliedAt);
    }
    for (const i of candidates.reverse()) {
      const event = events[i]!;
      if (event.calledAt > until) continue;
      const next = apply(event, state);
      if (next === undefined) continue;
      const after = new Set(done).add(i);
      let from = first;
      while (after.delete(from)) from++;
      const name = `${from} ${[...after].sort((a, b) => a - b)} ${next.version} ${next.value}`;
      if (tried.has(name)) continue;
      tried.add(name);
      const isAnswered = event.reply !== undefined;
      stack.push({
        first: from,
        done: after,
        answered: answered + (isAnswered ? 1 : 0),
        state: next,
      });
    }
  }
  return `no order explains more than ${best} of ${total} replies`;
}

/** What is stored after a request, where it can have got its reply in this state; undefined: it can't. */
function apply({ request: [verb, , ...rest], reply }: Event, state: State): State | undefined {
  const isOpen = reply === undefined;
  const { value, version } = state;
  const isAbsent = value === undefined;
  if (verb === "CLEAR" || verb === "DELETE") {
    return reply === "200 OK" || isOpen ? NOTHING : undefined;
  }
  if (verb === "PUT") return { value: rest[0], version: undefined };
  if (verb === "ADD") {
    if (!isAbsent) return isOpen || reply!.startsWith("409") ? state : undefined;
    return isOpen || reply === "200 OK" ? { value: rest[0], version: undefined } : undefined;
  }
  if (verb === "GET") {
    return reply === (isAbsent ? "404 NOT FOUND" : `200 OK ${value}`) ? state : undefined;
  }
  if (verb === "GETS") {
    if (isAbsent) return reply === "404 NOT FOUND" ? state : undefined;
    const [, seen, found] = /^200 OK (\d+) (.*)$/.exec(reply!) ?? [];
    return found === value && (version ?? seen) === seen ? { value, version: seen } : undefined;
  }
  if (verb === "INCR") {
    const sum = String(BigInt(value ?? "0") + 1n);
    return isOpen || reply === `200 OK ${sum}` ? { value: sum, version: undefined } : undefined;
  }
  if (verb === "CAS") {
    const [expected, wanted] = rest as [string, string];
    if (isAbsent) return isOpen || reply === "404 NOT FOUND" ? state : undefined;
    const mayHold = (version ?? expected) === expected;
    if (isOpen) return mayHold ? { value: wanted, version: undefined } : state;
    const given = /^200 OK (\d+)$/.exec(reply!)?.[1];
    if (given !== undefined) return mayHold ? { value: wanted, version: given } : undefined;
    return version !== expected ? state : undefined;
  }
  throw new Error(`no model of ${verb}`);
}

/** The versions that were given to two values. */
export function repeatedVersions(history: readonly Event[]): string[] {
  const values = new Map<string, string>();
  const repeated = new Set<string>();
  const note = (version: string | undefined, what: string) => {
    if (version === undefined) return;
    if ((values.get(version) ?? what) !== what) repeated.add(version);
    values.set(version, what);
  };
  for (const { request: [verb, key, ...rest], reply = "" } of history) {
    const [, version, value] = /^200 OK (\d+)(?: (.*))?$/.exec(reply) ?? [];
    if (verb === "GETS") note(version, `${key} ${value}`);
    if (verb === "CAS") note(version, `${key} ${rest[1]}`);
  }
  return [...repeated];
}
