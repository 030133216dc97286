/**
 * Draws curves of throughput, two panels in an SVG file, without a library. Both axes are logarithmic;
 * readable on a light and on a dark background. Called by main.ts.
 *
 * @module
 */
import { GENERATOR_CPU_MAX } from "./generator.ts";
import { NAMES, type Protocol } from "./peers.ts";
import type { Curve, CurvesPart, Point, WidePart } from "./results.ts";
import { sizeCurves } from "./wide.ts";

const WIDTH = 920, HEIGHT = 440;
const TOP = 84, BOTTOM = 372;
const PANELS = [{ left: 66, right: 440 }, { left: 526, right: 900 }] as const;
const COLOURS: Record<Protocol, string> = {
  keyline: "#2f81f7",
  bare: "#8250df",
  redis: "#e5534b",
  memcached: "#c69026",
};
const STYLE = `
    text { font: 12px system-ui, sans-serif; fill: #6e7781; }
    .title { font-size: 14px; font-weight: 600; }
    .grid { stroke: #8b949e; stroke-opacity: 0.3; }
    .curve { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
    .memory { stroke-dasharray: 6 4; }
    @media (prefers-color-scheme: dark) { text { fill: #adbac7; } }
  `;

/** Where a panel is drawn. */
interface Scale {
  readonly x: (at: number) => number;
  readonly y: (requestsPerS: number) => number;
}

/** Over requests in flight, and over clients. */
export function drawCurves(part: CurvesPart): string {
  const { byInFlight, byClients, clients, writes, valueBytes } = part;
  return drawing(`${writes} % writes, ${valueBytes}-byte values`, [
    {
      curves: byInFlight,
      title: `Requests per second, ${clients} clients`,
      axis: "requests in flight for each client",
    },
    { curves: byClients, title: "Requests per second, 1 request in flight", axis: "clients" },
  ]);
}

/** Over the number of keys, and over the size of values. */
export function drawSizes(part: WidePart): string {
  const { byKeys, byValueBytes } = sizeCurves(part);
  return drawing("10 % writes, 50 clients, 16 requests in flight; of 16 KiB 4, of 100 KiB 1", [
    { curves: byKeys, title: "Requests per second, 64-byte values", axis: "keys", name: short },
    {
      curves: byValueBytes,
      title: "Requests per second, 20,000 keys or fewer",
      axis: "size of a value",
      name: (bytes) => bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KiB`,
    },
  ]);
}

/** What a panel shows. */
interface Content {
  readonly curves: readonly Curve[];
  readonly title: string;
  readonly axis: string;
  /** How a place on the axis is written. */
  readonly name?: (at: number) => string;
}

function drawing(load: string, contents: readonly [Content, Content]): string {
  const all = contents.flatMap(({ curves }) => curves).flatMap(({ points }) => points);
  const rates = all.map(({ requestsPerS }) => requestsPerS);
  const range = { low: Math.min(...rates) / 1.2, high: Math.max(...rates) * 1.2 };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 ${WIDTH} ${HEIGHT}"` +
    ` width="${WIDTH}" height="${HEIGHT}">`,
    `<title>Requests per second of each server, ${load}</title>`,
    `<style>${STYLE}</style>`,
    ...legend(contents[0].curves),
    ...contents.flatMap((content, i) => panel({ ...content, ...range, ...PANELS[i]! })),
    `<text x="${WIDTH - 20}" y="${HEIGHT - 12}" text-anchor="end">${load}</text>`,
    ...all.some(isGeneratorLimit)
      ? [`<text x="66" y="${HEIGHT - 12}">hollow: the load generator was at its limit</text>`]
      : [],
    "</svg>",
  ].join("\n") + "\n";
}

interface Panel extends Content {
  readonly left: number;
  readonly right: number;
  readonly low: number;
  readonly high: number;
}

function panel({ curves, title, axis, name = String, left, right, low, high }: Panel): string[] {
  const places = [...new Set(curves.flatMap(({ points }) => points.map(({ at }) => at)))];
  const lowest = Math.min(...places), highest = Math.max(...places);
  const scale: Scale = {
    x: (at) => left + 10 + share(at, lowest, highest) * (right - left - 20),
    y: (rate) => BOTTOM - share(rate, low, high) * (BOTTOM - TOP),
  };
  const middle = (left + right) / 2;
  return [
    `<text class="title" x="${left}" y="${TOP - 14}">${title}</text>`,
    ...ticks(low, high).flatMap((rate) => [
      line(left, scale.y(rate), right),
      `<text x="${left - 8}" y="${near(scale.y(rate) + 4)}" text-anchor="end">${
        short(rate)
      }</text>`,
    ]),
    ...places.map((at) =>
      `<text x="${near(scale.x(at))}" y="${BOTTOM + 18}" text-anchor="middle">${name(at)}</text>`
    ),
    `<text x="${middle}" y="${BOTTOM + 38}" text-anchor="middle">${axis}</text>`,
    ...curves.flatMap((curve) => drawn(curve, scale)),
  ];
}

function drawn({ protocol, mode, points }: Curve, { x, y }: Scale): string[] {
  const colour = COLOURS[protocol];
  const at = (point: Point) => [near(x(point.at)), near(y(point.requestsPerS))] as const;
  const path = points.map((point) => at(point).join(",")).join(" ");
  return [
    `<polyline class="curve ${mode}" stroke="${colour}" points="${path}"/>`,
    ...points.map((point) => {
      const [cx, cy] = at(point);
      const fill = isGeneratorLimit(point) ? "none" : colour;
      return `<circle cx="${cx}" cy="${cy}" r="3" stroke="${colour}" fill="${fill}"/>`;
    }),
  ];
}

function isGeneratorLimit({ generatorCpu }: Point): boolean {
  return generatorCpu >= GENERATOR_CPU_MAX;
}

function legend(curves: readonly Curve[]): string[] {
  return curves.flatMap(({ protocol, mode }, index) => {
    const left = 66 + index * 164;
    const sample = `x1="${left}" y1="24" x2="${left + 30}" y2="24" stroke="${COLOURS[protocol]}"`;
    return [
      `<line class="curve ${mode}" ${sample}/>`,
      `<text x="${left + 38}" y="28">${NAMES[protocol]}, ${mode}</text>`,
    ];
  });
}

function line(left: number, y: number, right: number): string {
  return `<line class="grid" x1="${left}" y1="${near(y)}" x2="${right}" y2="${near(y)}"/>`;
}

/** 1, 2 and 5 of each power of ten between the two. */
function ticks(low: number, high: number): number[] {
  const found: number[] = [];
  for (let power = 1; power <= high; power *= 10) {
    found.push(...[1, 2, 5].map((digit) => digit * power));
  }
  return found.filter((tick) => tick >= low && tick <= high);
}

/** Where a number lies between the lowest and the highest, by their logarithms: 0 to 1. */
function share(value: number, low: number, high: number): number {
  return high > low ? Math.log(value / low) / Math.log(high / low) : 0;
}

function near(pixels: number): number {
  return Number(pixels.toFixed(1));
}

function short(rate: number): string {
  if (rate >= 1_000_000) return `${rate / 1_000_000} M`;
  return rate >= 1_000 ? `${rate / 1_000} k` : `${rate}`;
}
