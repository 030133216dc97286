/**
 * Splits text into lines, by one TextLineStream for all clients; `lines.ts` calls it with whole lines
 * alone, so that nothing of one client is left in it for the next.
 *
 * What many of them send at once goes through it as one chunk, because a chunk takes as long as several
 * lines do; and one client's lines are split before the next one's, because a stream for each client
 * would have to take turns with the others for each line, and none would stay in the processor's caches.
 *
 * @module
 */

import { TextLineStream } from "@std/streams/text-line-stream";
import { BUSY_MS_MAX, pause } from "./pause.ts";

/** Texts are joined to a chunk of at most so many UTF-16 units; a larger text is one of its own. */
const CHUNK_MAX = 16_384;

/** Whole lines that are to be split. */
interface Unsplit {
  readonly text: string;
  readonly lineCount: number;
  readonly resolve: (lines: string[]) => void;
}

const stream = new TextLineStream();
const writer = stream.writable.getWriter();
const reader = stream.readable.getReader();
const waiting: Unsplit[] = [];
let isSplitting = false;

/** The lines of a text, which ends with the end of the last of them, without their ends. */
export function splitLines(text: string, lineCount: number): Promise<string[]> {
  return new Promise((resolve) => {
    waiting.push({ text, lineCount, resolve });
    if (isSplitting) return;
    isSplitting = true;
    // Behind the others whose bytes have come in the same turn of the event loop.
    queueMicrotask(splitWaiting);
  });
}

async function splitWaiting(): Promise<void> {
  let busySince = performance.now();
  while (waiting.length > 0) {
    const chunk = takeChunk();
    writer.write(chunk.map(({ text }) => text).join(""));
    for (const { lineCount, resolve } of chunk) {
      const lines = new Array<string>(lineCount);
      for (let i = 0; i < lineCount; i++) lines[i] = (await reader.read()).value!;
      resolve(lines);
    }
    if (waiting.length > 0 && performance.now() - busySince > BUSY_MS_MAX) {
      await pause();
      busySince = performance.now();
    }
  }
  isSplitting = false;
}

/** Takes out the texts that make the next chunk: at least one. */
function takeChunk(): Unsplit[] {
  let size = 0;
  const end = waiting.findIndex(({ text }, i) => (size += text.length) > CHUNK_MAX && i > 0);
  return waiting.splice(0, end < 0 ? waiting.length : end);
}
