/**
 * The telnet filter: what it takes out of the bytes of a client (RFC 854, 855).
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { mayBeTelnet, TelnetFilter } from "../../../server/input/telnet.ts";

const utf8 = new TextEncoder();

Deno.test("the telnet filter leaves a packet without telnet's bytes as it is", () => {
  const packet = utf8.encode("PUT a é\r\n");
  assert(!mayBeTelnet(packet));
  assertEquals(strip([...packet]), [...packet]);
});

Deno.test("the telnet filter removes every command of two bytes", () => {
  for (let command = 0xf0; command < 0xfa; command++) {
    assertEquals(strip([0x61, 0xff, command, 0x62]), [0x61, 0x62], `IAC ${command}`);
  }
});

Deno.test("the telnet filter takes IAC for text before a byte that is no command", () => {
  for (let byte = 0; byte < 0xf0; byte++) {
    assertEquals(strip([0x61, 0xff, byte, 0x62]), [0x61, 0xff, byte, 0x62], `IAC ${byte}`);
    assertEquals(strip([0xff], [byte]), [0xff, byte], `IAC ${byte}, cut between the two`);
  }
});

Deno.test("the telnet filter takes a subnegotiation for text once it is too long", () => {
  const filter = new TelnetFilter();
  filter.subnegotiationBytesMax = 4;
  const packet = (...bytes: number[]) => [...filter.strip(Uint8Array.from(bytes))];
  assertEquals(packet(0xff, 0xfa, 31, 0, 0xff, 0xf0, 0x61), [0x61]);
  assertEquals(packet(0xff, 0xfa, 31, 0x0a, 2, 3, 4, 0x61, 0x0a), [0xff, 0x61, 0x0a]);
});

Deno.test("the telnet filter makes no memory for each timing mark of a packet", () => {
  const filter = new TelnetFilter();
  const packet = Uint8Array.from(Array(1_000).fill([0xff, 0xfd, 0x06, 0x61]).flat());
  const memories = new Set<ArrayBufferLike>();
  let stops = 0;
  for (let start = 0; start < packet.length; start += filter.end) {
    memories.add(filter.strip(packet.subarray(start)).buffer);
    filter.awaitsTimingMark = false;
    stops++;
  }
  assertEquals([memories.size, stops], [1, 1_001]);
});

Deno.test("the telnet filter stops at the text behind a timing mark, wherever it is cut", () => {
  const mark = [0xff, 0xfd, 0x06];
  const bytes = [
    0x61,
    ...mark,
    0xff,
    0xf1,
    ...mark,
    0xff,
    0x62,
    ...mark,
    0xff,
    0xff,
    0x63,
    ...mark,
  ];
  for (let cut = 0; cut <= bytes.length; cut++) {
    const filter = new TelnetFilter();
    const stops: number[][] = [[]];
    for (const packet of [bytes.slice(0, cut), bytes.slice(cut)]) {
      for (let start = 0; start < packet.length; start += filter.end) {
        const text = filter.strip(Uint8Array.from(packet.slice(start)));
        stops.at(-1)!.push(...text);
        if (filter.awaitsTimingMark && start + filter.end < packet.length) {
          filter.awaitsTimingMark = false;
          stops.push([]);
        }
      }
    }
    assertEquals(stops, [[0x61], [0xff, 0x62], [0xff, 0x63]], `cut at ${cut}`);
  }
});

Deno.test("the telnet filter removes every option with each of the four words", () => {
  for (const word of [0xfb, 0xfc, 0xfd, 0xfe]) {
    for (let option = 0; option <= 0xff; option++) {
      assertEquals(strip([0x61, 0xff, word, option, 0x62]), [0x61, 0x62], `IAC ${word} ${option}`);
    }
  }
});

Deno.test("the telnet filter removes a subnegotiation up to its IAC SE", () => {
  assertEquals(strip([0x61, 0xff, 0xfa, 31, 0, 80, 0, 24, 0xff, 0xf0, 0x62]), [0x61, 0x62]);
  // IAC IAC in it is data, and so is a lone SE; a line end is too.
  assertEquals(strip([0xff, 0xfa, 31, 0xff, 0xff, 0xf0, 0x0a, 0xff, 0xf0, 0x62]), [0x62]);
  // RFC 855 knows no other command in it: it is passed over.
  assertEquals(strip([0xff, 0xfa, 31, 0xff, 0xf1, 0x0a, 0xff, 0xf0, 0x62]), [0x62]);
});

Deno.test("the telnet filter turns a doubled IAC into one 0xFF", () => {
  assertEquals(strip([0x61, 0xff, 0xff, 0x62]), [0x61, 0xff, 0x62]);
  assertEquals(strip([0xff, 0xff, 0xff, 0xff]), [0xff, 0xff]);
});

Deno.test("the telnet filter turns CR NUL into CR LF, and leaves every other NUL", () => {
  assertEquals(strip([0x0d, 0x00, 0x61]), [0x0d, 0x0a, 0x61]);
  assertEquals(strip([0x0d, 0x0a, 0x00]), [0x0d, 0x0a, 0x00]);
  assertEquals(strip([0x00, 0x0d, 0x00, 0x00]), [0x00, 0x0d, 0x0a, 0x00]);
  assertEquals(strip([0x0d, 0xff, 0xf1, 0x00]), [0x0d, 0x0a], "a command between the two");
});

Deno.test("the telnet filter gives the same bytes wherever a sequence is cut", () => {
  const bytes = [
    ...[0x61, 0xff, 0xfb, 0x0a, 0x62, 0xff, 0xf1, 0x63, 0xff, 0xff, 0x64, 0x0d, 0x00, 0x00],
    ...[0xff, 0xfa, 31, 0xff, 0xff, 0xf0, 0x0d, 0x00, 0xff, 0xf0, 0x65, 0x0d, 0xff, 0xfd, 1, 0x00],
  ];
  const whole = strip(bytes);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const parts = [bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)];
      const packets = parts.filter((part) => part.length > 0);
      assertEquals(strip(...packets), whole, `cut at ${first} and ${second}`);
    }
  }
});

function strip(...packets: number[][]): number[] {
  const filter = new TelnetFilter();
  return packets.flatMap((packet) => {
    const text: number[] = [];
    for (let start = 0; start < packet.length; start += filter.end) {
      text.push(...filter.strip(Uint8Array.from(packet.slice(start))));
      filter.awaitsTimingMark = false;
    }
    return text;
  });
}
