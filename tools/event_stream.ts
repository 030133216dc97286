/**
 * Reads a stream of server-sent events, as far as `top` needs them: their names and data.
 *
 * @module
 */

/** An event. */
export interface StreamEvent {
  /** Its name. */
  readonly event: string;
  /** Its data. */
  readonly data: string;
}

/** The events of a stream, until it ends or breaks. Throws if it is aborted. */
export async function* eventsOf(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  signal: AbortSignal,
): AsyncGenerator<StreamEvent> {
  let text = "";
  try {
    for await (const part of body.pipeThrough(new TextDecoderStream())) {
      text += part;
      const blocks = text.split("\n\n");
      text = blocks.pop()!;
      yield* blocks.map(eventIn);
    }
  } catch (error) {
    if (signal.aborted) throw error;
    // A connection that broke is a stream that has ended.
  }
  signal.throwIfAborted();
}

function eventIn(block: string): StreamEvent {
  const fields = new Map(
    block.split("\n").map((line) => {
      const colon = line.indexOf(": ");
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
  );
  return { event: fields.get("event") ?? "message", data: fields.get("data") ?? "" };
}
