/**
 * What slows down who guesses passwords: on one connection, on many, and from many addresses.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { WrongPasswords } from "../../../server/dispatch/wrong_passwords.ts";
import { ManualTime } from "../../support/clock.ts";
import { MemoryServer } from "../../support/memory_server.ts";
import { settled } from "../../support/memory_socket.ts";

const UNAUTHORIZED = "401 UNAUTHORIZED\r\n";
const BUSY = "503 BUSY too many wrong passwords; try again later\r\n";

function serverWith(time: ManualTime): MemoryServer {
  return new MemoryServer({ time, isPassword: (guess) => guess === "sesame" });
}

Deno.test("the reply to a wrong password waits, and nobody else does", async () => {
  const time = new ManualTime();
  const server = serverWith(time);
  const [guesser, other] = [server.connect(), server.connect()];
  guesser.socket.send("HELP AUTH\nAUTH wrong\nAUTH sesame\nCOUNT\n");
  await settled();
  assertEquals([guesser.socket.take(), time.waiting], ["", 1]);
  other.socket.send("AUTH sesame\nCOUNT\n");
  await settled();
  assertEquals(other.socket.take(), "200 OK\r\n200 OK 0\r\n");
  time.fire();
  await settled();
  const replies = guesser.socket.take();
  assert(replies.endsWith(`${UNAUTHORIZED}200 OK\r\n200 OK 0\r\n`), replies);
  for (const { socket, served } of [guesser, other]) {
    socket.finish();
    await served;
  }
});

Deno.test("the third wrong password waits before the connection ends", async () => {
  const time = new ManualTime();
  const { socket, served } = serverWith(time).connect();
  socket.send("AUTH a\nAUTH b\nAUTH c\nAUTH sesame\n");
  for (let guess = 1; guess <= 3; guess++) {
    await settled();
    assertEquals([socket.take(), time.waiting], ["", 1], `guess ${guess}`);
    time.fire();
    await settled();
    assertEquals(socket.take(), UNAUTHORIZED);
  }
  assertEquals(socket.isFinished, true);
  socket.finish();
  await served;
});

Deno.test("a connection that is closed while its reply waits ends at once", async () => {
  const time = new ManualTime();
  const { socket, connection, served } = serverWith(time).connect();
  socket.send("AUTH a\n");
  await settled();
  connection.close();
  await served;
  assertEquals([socket.take(), time.waiting], ["", 0]);
});

Deno.test("guesses from one address are few in the long run, on however many connections", async () => {
  const time = new ManualTime();
  const server = serverWith(time);
  let looked = 0;
  for (let second = 0; second < 20; second++) {
    for (let i = 0; i < 100; i++) {
      const { socket, connection, served } = server.connect();
      socket.send("AUTH guess\n");
      await until(() => socket.take() === BUSY || time.waiting > 0);
      if (time.waiting > 0) looked++;
      connection.close();
      await served;
    }
    time.ms += 1_000;
  }
  assert(looked > 100 && looked < 200, `${looked} of 2,000 were looked at`);
  const [there, elsewhere] = [server.connect(), server.accept("192.0.2.1")];
  const served = elsewhere.connection.serve();
  time.ms -= 1_000;
  there.socket.send("AUTH sesame\n");
  elsewhere.socket.send("AUTH sesame\n");
  await settled();
  assertEquals([there.socket.take(), elsewhere.socket.take()], [BUSY, "200 OK\r\n"]);
  for (const { socket } of [there, elsewhere]) socket.finish();
  await Promise.all([there.served, served]);
});

Deno.test("the waits of an address add up, pass, and are forgotten", () => {
  const time = new ManualTime();
  const wrong = new WrongPasswords(time);
  const first = wrong.count("192.0.2.1");
  assertEquals(wrong.count("192.0.2.1"), 2 * first);
  assertEquals(wrong.count("192.0.2.2"), first);
  for (let guesses = 0; !wrong.isRefused("192.0.2.1"); guesses++) {
    wrong.count("192.0.2.1");
    assert(guesses < 100);
  }
  assertEquals([wrong.isRefused("192.0.2.2"), wrong.size], [false, 2]);
  time.ms += first + 1;
  assertEquals(wrong.isRefused("192.0.2.1"), false);
  wrong.sweep();
  assertEquals(wrong.size, 1);
  time.ms += 100_000;
  wrong.sweep();
  assertEquals(wrong.size, 0);
});

Deno.test("a network of IPv6 counts as one address", () => {
  const same = [
    ["2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1:2::"],
    ["::1", "::2", "::"],
    ["::ffff:192.0.2.1"],
    ["::ffff:192.0.2.2"],
    ["fe80::1"],
    ["2001:db8:0:2::1"],
    ["2001:db8::"],
  ];
  const wrong = new WrongPasswords(new ManualTime());
  for (const hostnames of same) for (const hostname of hostnames) wrong.count(hostname);
  assertEquals(wrong.size, same.length);
});

/** Waits until a condition holds. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    assert(i < 1_000);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
