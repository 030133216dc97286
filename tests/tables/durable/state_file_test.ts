/**
 * The state file: two copies, of which one is always whole.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import { StateFile } from "../../../tables/durable/log/state_file.ts";
import { drawFrom } from "../../support/draw.ts";
import { FakeDisk } from "./fake_disk.ts";

const STATE = { salt: 0xfffffffe, slotBytes: 8_388_608, sequence: 0, isClosed: false, keys: 7 };
/** The size of a copy, and where the second one is, in bytes. */
const [COPY_BYTES, SECOND] = [40, 4_096];

/** A state that has been written so often. */
function written(times: number): { disk: FakeDisk; state: StateFile } {
  const disk = FakeDisk.of(new Map([["state", new Uint8Array(0)]]));
  const state = new StateFile(disk.open("state"), STATE);
  for (let i = 1; i <= times; i++) state.write({ sequence: i });
  return { disk, state };
}

function stateIn(disk: FakeDisk) {
  return StateFile.read(disk.open("state"))?.state;
}

Deno.test("a state is read as it was written last", () => {
  for (let times = 1; times < 6; times++) {
    const { disk, state } = written(times);
    assertEquals(stateIn(disk), { ...STATE, sequence: times });
    state.write({ isClosed: true }, { isSynced: true });
    assertEquals(stateIn(disk), { ...STATE, sequence: times, isClosed: true });
    const again = StateFile.read(disk.open("state"))!;
    again.write({ sequence: 2 ** 50, isClosed: false });
    assertEquals(stateIn(disk), { ...STATE, sequence: 2 ** 50 });
  }
  assertEquals(stateIn(written(0).disk), undefined);
});

Deno.test("with one copy damaged the other counts, and with both none does", () => {
  for (const times of [4, 5]) {
    const { disk } = written(times);
    const bytes = disk.contents().get("state")!;
    const newest = times % 2 === 0 ? 0 : SECOND;
    for (const [begin, sequence] of [[newest, times - 1], [SECOND - newest, times]] as const) {
      for (let bit = 0; bit < 8 * COPY_BYTES; bit++) {
        const damaged = bytes.slice();
        damaged[begin + (bit >> 3)]! ^= 1 << (bit & 7);
        assertEquals(stateIn(FakeDisk.of(new Map([["state", damaged]])))?.sequence, sequence);
        damaged[SECOND - begin + 20]! ^= 1;
        assertEquals(stateIn(FakeDisk.of(new Map([["state", damaged]]))), undefined);
      }
    }
  }
});

Deno.test("a power cut leaves a state that was written since the last sync, or that one", () => {
  const draw = drawFrom(1);
  const seen = new Set<number>();
  for (let run = 0; run < 500; run++) {
    const { disk, state } = written(3);
    state.write({ sequence: 4 }, { isSynced: true });
    for (let i = 5; i < 5 + draw(5); i++) state.write({ sequence: i });
    const { sequence } = stateIn(disk.afterPowerCut(draw))!;
    assert(sequence >= 4 && sequence <= state.state.sequence, `${sequence}`);
    seen.add(sequence);
  }
  assert(seen.size > 3);
});
