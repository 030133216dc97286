/**
 * Checks that what clients got of a whole table is linearizable: that each request could have taken place at one
 * moment between its call and its reply, with the reply that it got, and that those of one connection took place in
 * their order. Other than `history.ts` it looks at all keys at once, so COUNT, KEYS and CLEAR are checked as well.
 *
 * It searches like Wing and Gong, with the cache of Lowe. A reply that says that nothing was changed is taken as soon
 * as it fits: to wait with it could not help.
 *
 * @module
 */

import { randomFrom } from "../tables/etcd/workload.ts";

/** A request that was made, and what became of it. */
export interface TableEvent {
  /** The verb and its arguments. */
  readonly request: readonly string[];
  /** The lines of its reply; undefined where none came, and nobody knows whether it took place. */
  readonly reply: readonly string[] | undefined;
  /** When it was sent, and when its reply came, by one clock. */
  readonly calledAt: number;
  readonly repliedAt: number;
}

/** The requests of one connection, in their order. */
export type Conversation = readonly TableEvent[];

/** A value, "w" and a number where it is stored but once, and its version where a reply has told it. */
interface Held {
  readonly value: string;
  readonly version: string | undefined;
}

/** What a table holds, by key. */
export type TableState = ReadonlyMap<string, Held>;

/** How many steps a search may take, so that it ends; and one that leaves out what nobody knows to have taken place. */
const [STEPS_MAX, SHORT_STEPS_MAX] = [2_000_000, 20_000];
/** How many of these there are. */
const SHORT_SEARCHES = 200;

/** Why conversations are not linearizable, from a table that held this; undefined where they are. */
export function tableViolationOf(
  all: readonly Conversation[],
  initial: TableState = new Map(),
): string | undefined {
  const random = randomFrom(1);
  const readers = readersOf(all);
  /** Whether it has no reply, and has taken place: what it stored was read. */
  const isSeen = ({ request, reply }: TableEvent) =>
    reply === undefined && readers.has(request.at(-1)!);
  // After a failover many requests have no reply: tried everywhere, they make the search long. If an order explains
  // all replies without some of them, there is one.
  for (let i = 0; i < SHORT_SEARCHES; i++) {
    const share = random();
    const some = all.map((events) => {
      const from = events.findLastIndex(isSeen) + 1;
      const isLeftOut = ({ reply }: TableEvent, place: number) =>
        reply === undefined && place >= from && random() < share;
      return events.slice(0, endOf(events.findIndex(isLeftOut)));
    });
    if (search(some, initial, SHORT_STEPS_MAX) === undefined) return undefined;
    if (!all.flat().some(({ reply }) => reply === undefined)) break;
  }
  return search(all, initial, STEPS_MAX);
}

/** The end of a slice up to there, or of all. */
function endOf(index: number): number | undefined {
  return index === -1 ? undefined : index;
}

/** Why no order explains all replies, or why none was found in so many steps; undefined where one does. */
function search(
  all: readonly Conversation[],
  initial: TableState,
  stepsMax: number,
): string | undefined {
  const lists = all.map((events) =>
    // What was answered 500 has promised that it did not take place.
    events.filter(({ reply }) => !reply?.at(-1)?.startsWith("500"))
      .map((event) => ({ ...event, repliedAt: event.reply ? event.repliedAt : Infinity }))
  ).filter((events) => events.length > 0);
  const answered = lists.map((events) => events.filter(({ reply }) => reply).length);
  const total = answered.reduce((sum, count) => sum + count, 0);
  const readers = readersOf(lists);
  const tried = new Set<string>();
  const stack = [{ places: lists.map(() => 0), state: initial }];
  let best = { count: -1, places: [] as number[], state: initial };
  for (let steps = 0; stack.length > 0; steps++) {
    if (steps > stepsMax) return `the search takes too long, at ${best.count} of ${total}`;
    const { places: before, state: start } = stack.pop()!;
    const { places, state, until } = advance(lists, before, start);
    const name = `${places} ${nameOf(state)}`;
    if (tried.has(name)) continue;
    tried.add(name);
    const count = places.reduce((sum, place, i) => sum + Math.min(place, answered[i]!), 0);
    if (count === total) return undefined;
    if (count > best.count) best = { count, places, state };
    // What was answered first is tried first: it comes last on the stack.
    const candidates = lists.map((events, i) => ({ i, event: events[places[i]!] }))
      .filter(({ event }) => event !== undefined && event.calledAt <= until)
      .sort((a, b) => b.event!.repliedAt - a.event!.repliedAt);
    for (const { i, event } of candidates) {
      const then = places.with(i, places[i]! + 1);
      for (const next of outcomesOf(event!, state)) {
        if (!isLost(state, next, { places: then, readers })) {
          stack.push({ places: then, state: next });
        }
      }
    }
  }
  const waiting = lists.map((events, i) => events[best.places[i]!]).filter((event) => event);
  return `no order explains more than ${best.count} of ${total} replies; the table holds ` +
    `${nameOf(best.state)} and next are ${
      JSON.stringify(waiting.map((event) => [event!.request.join(" "), event!.reply]))
    }`;
}

/** Where each value is read, by place in each list; not those of INCR, which may come again. */
type Readers = ReadonlyMap<string, readonly (readonly [list: number, place: number])[]>;

function readersOf(lists: readonly (readonly TableEvent[])[]): Readers {
  const readers = new Map<string, [number, number][]>();
  for (const [list, events] of lists.entries()) {
    for (const [place, { request: [verb], reply }] of events.entries()) {
      if (verb !== "GET" && verb !== "GETS") continue;
      const value = /^200 OK (?:\d+ )?(w\d+)$/.exec(reply?.at(-1) ?? "")?.[1];
      if (value === undefined) continue;
      if (!readers.has(value)) readers.set(value, []);
      readers.get(value)!.push([list, place]);
    }
  }
  return readers;
}

/** Whether a value is gone that is still to be read: no value is stored twice. */
function isLost(
  before: TableState,
  after: TableState,
  { places, readers }: { places: readonly number[]; readers: Readers },
): boolean {
  for (const [key, { value }] of before) {
    if (after.get(key)?.value === value) continue;
    if (readers.get(value)?.some(([list, place]) => place >= places[list]!)) return true;
  }
  return false;
}

/** Takes all that fits and can change nothing; also says when the first of the others was answered. */
function advance(
  lists: readonly (readonly TableEvent[])[],
  from: readonly number[],
  start: TableState,
): { places: number[]; state: TableState; until: number } {
  const places = [...from];
  let state = start;
  for (;;) {
    let until = Infinity;
    for (const [i, events] of lists.entries()) {
      until = Math.min(until, events[places[i]!]?.repliedAt ?? Infinity);
    }
    let isMore = false;
    for (const [i, events] of lists.entries()) {
      const event = events[places[i]!];
      if (event?.reply === undefined || event.calledAt > until) continue;
      // Where these find nothing now, they may have found something later.
      if (event.request[0] === "DELETE" || event.request[0] === "CLEAR") continue;
      const next = applied(event, state);
      if (next === undefined || !isSame(next, state)) continue;
      // Numbers come again: which of them has this version is to be tried.
      if (next !== state && !event.reply.at(-1)!.includes(" w")) continue;
      places[i]!++;
      state = next;
      isMore = true;
    }
    if (!isMore) return { places, state, until };
  }
}

/** Whether two states hold the same; one may know more versions. */
function isSame(a: TableState, b: TableState): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  return [...a].every(([key, { value, version }]) => {
    const other = b.get(key);
    return other?.value === value && (other.version ?? version) === version;
  });
}

function nameOf(state: TableState): string {
  return [...state].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, { value, version }]) => `${key}=${value}/${version ?? "?"}`).join();
}

/** What the table may hold after a request that can have got its reply. */
function outcomesOf(event: TableEvent, state: TableState): TableState[] {
  const next = applied(event, state);
  if (next === undefined) return [];
  const [verb, key] = event.request;
  // Without a reply, and with a version that none has told yet, it may have held or not.
  const isUnsure = verb === "CAS" && event.reply === undefined &&
    state.has(key!) && state.get(key!)!.version === undefined;
  return isUnsure ? [state, next] : [next];
}

/** The table after a request, where that can have got its reply; undefined: it can't. */
function applied({ request, reply }: TableEvent, state: TableState): TableState | undefined {
  const [verb, key = "", ...rest] = request;
  const last = reply?.at(-1);
  const isOpen = last === undefined;
  const held = state.get(key);
  const put = (value: string, version?: string) => new Map(state).set(key, { value, version });
  switch (verb) {
    case "PUT":
      return isOpen || last === "200 OK" ? put(rest[0]!) : undefined;
    case "DELETE": {
      if (held === undefined) return state;
      const next = new Map(state);
      next.delete(key);
      return next;
    }
    case "CLEAR":
      return state.size === 0 ? state : new Map();
    case "ADD":
      if (held !== undefined) return isOpen || last.startsWith("409") ? state : undefined;
      return isOpen || last === "200 OK" ? put(rest[0]!) : undefined;
    case "GET":
      return isOpen || last === (held ? `200 OK ${held.value}` : "404 NOT FOUND")
        ? state
        : undefined;
    case "GETS": {
      if (isOpen) return state;
      if (held === undefined) return last === "404 NOT FOUND" ? state : undefined;
      const [, version, value] = /^200 OK (\d+) (.*)$/.exec(last) ?? [];
      if (value !== held.value || (held.version ?? version) !== version) return undefined;
      return held.version === undefined ? put(value, version) : state;
    }
    case "INCR": {
      const sum = String(Number(held?.value ?? "0") + 1);
      return isOpen || last === `200 OK ${sum}` ? put(sum) : undefined;
    }
    case "CAS": {
      const [expected, value] = rest as [string, string];
      if (held === undefined) return isOpen || last === "404 NOT FOUND" ? state : undefined;
      const mayHold = (held.version ?? expected) === expected;
      if (isOpen) return mayHold ? put(value) : state;
      const given = /^200 OK (\d+)$/.exec(last)?.[1];
      if (given !== undefined) return mayHold ? put(value, given) : undefined;
      return last.startsWith("409") && held.version !== expected ? state : undefined;
    }
    case "COUNT":
      return isOpen || last === `200 OK ${state.size}` ? state : undefined;
    case "KEYS": {
      if (isOpen) return state;
      const keys = [...state.keys()].sort();
      const expected = [...keys.map((key) => `200-${key}`), `200 OK ${keys.length}`];
      return reply!.join("\n") === expected.join("\n") ? state : undefined;
    }
  }
  throw new Error(`no model of ${verb}`);
}
