/** The charts of the page, drawn by uPlot from the available frames, with our own legends. */

import { element, show } from "./elements.js";
import { bytes, clock, duration, number } from "./format.js";

const HEIGHT = { large: 220, small: 130 };
/** Colours that stand out on light and on dark, also for most colour-blind people (Okabe and Ito). */
const COLOURS = ["#0b84d8", "#e58a00", "#009e73", "#d1559b", "#d55e00", "#7a6ff0", "#8a8f98"];
/** This many operations have their own lines; the others share one. */
const OWN_MAX = COLOURS.length - 1;

/** The operations that have a line. A new one takes the next free line, and keeps it. */
const operations = [];

/** Every chart: its caption, how it writes values, and its lines. The first line is on top of the others. */
const CHARTS = [
  {
    caption: "Requests/s",
    size: "large",
    format: number,
    lines: COLOURS.map((_, i) => ({
      label: () => i < OWN_MAX ? operations[i]?.toUpperCase() : operations[i] && "others",
      read: (frame) => i < OWN_MAX ? rateOf(frame, operations[i]) : rateOfOthers(frame),
    })),
  },
  {
    caption: "Latency",
    size: "large",
    format: duration,
    isLogarithmic: true,
    lines: [
      { label: () => "p50", read: (frame) => frame.latency?.p50 },
      { label: () => "p99", read: (frame) => frame.latency?.p99 },
      // Often the same as p99: wide and pale, it shows on both sides of that.
      { label: () => "p99.9", read: (frame) => frame.latency?.p999, width: 5, colour: "#e58a0077" },
    ],
  },
  {
    caption: "Commit, its sync included",
    format: duration,
    isLogarithmic: true,
    lines: [
      { label: () => "p50", read: (frame) => frame.commit?.p50 },
      { label: () => "p99", read: (frame) => frame.commit?.p99 },
    ],
  },
  {
    caption: "Requests per turn",
    format: number,
    lines: [{ label: () => "mean", read: (frame) => frame.batch }],
  },
  {
    caption: "Clients",
    format: number,
    lines: [{ label: () => "connected", read: (frame) => frame.connections }],
  },
  {
    caption: "Memory",
    format: bytes,
    increments: Array.from({ length: 31 }, (_, i) => 2 ** (i + 10)),
    lines: [{ label: () => "resident", read: (frame) => frame.memory }],
  },
];

export class Charts {
  #charts = CHARTS.map((chart) => new Chart(chart));

  constructor(place) {
    place.append(...this.#charts.map(({ figure }) => figure));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const chart of this.#charts) chart.rebuild();
    });
  }

  /** Draws the frames of the last seconds. */
  show(frames, seconds) {
    findOperations(frames);
    const until = frames.at(-1).at / 1_000;
    const shown = frames.filter(({ at }) => at / 1_000 > until - seconds);
    for (const chart of this.#charts) chart.draw(shown, { from: until - seconds, until });
  }
}

/** Gives a line to each operation that has none; the busiest comes first. */
function findOperations(frames) {
  const totals = new Map();
  for (const frame of frames) {
    for (const [name, { rate }] of Object.entries(frame.operations)) {
      if (!operations.includes(name)) totals.set(name, (totals.get(name) ?? 0) + rate);
    }
  }
  operations.push(...[...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a)));
}

function rateOf(frame, name) {
  return name === undefined ? undefined : frame.operations[name]?.rate ?? 0;
}

function rateOfOthers(frame) {
  if (operations.length <= OWN_MAX) return undefined;
  return operations.slice(OWN_MAX).reduce((sum, name) => sum + rateOf(frame, name), 0);
}

class Chart {
  #options;
  #plot;
  #frames = [];
  #span = { from: 0, until: 1 };
  #canvas = element("div");
  #time = element("time");
  #legend;
  figure = element("figure");

  constructor(options) {
    this.#options = options;
    const caption = element("figcaption");
    caption.append(element("h3", options.caption), this.#time);
    const list = element("ul");
    list.className = "legend";
    this.#legend = options.lines.map((line, i) => new LegendItem(line, COLOURS[i]));
    list.append(...this.#legend.map(({ item }) => item));
    this.figure.className = options.size ?? "small";
    this.figure.append(caption, this.#canvas, list);
    new ResizeObserver(() => this.#resize()).observe(this.#canvas);
  }

  draw(frames, span) {
    this.#frames = frames;
    this.#span = span;
    const { isLogarithmic, lines } = this.#options;
    // A logarithmic scale has no place for what took no time at all.
    const valueOf = isLogarithmic ? (value) => value || null : (value) => value ?? null;
    const data = [
      frames.map(({ at }) => at / 1_000),
      // uPlot draws the last line on top.
      ...lines.toReversed().map(({ read }) => frames.map((frame) => valueOf(read(frame)))),
    ];
    if (this.#plot === undefined) this.#build(data);
    else this.#plot.setData(data);
    this.#showValues();
  }

  /** Rebuilds it in the current colours. */
  rebuild() {
    const data = this.#plot?.data;
    this.#plot?.destroy();
    this.#plot = undefined;
    if (data !== undefined) this.#build(data);
  }

  #build(data) {
    if (this.#canvas.clientWidth === 0) return;
    const { caption, format, lines, isLogarithmic, increments } = this.#options;
    const filter = isLogarithmic ? { filter: onlyPowersOfTen } : {};
    const style = getComputedStyle(document.body);
    const axis = {
      stroke: style.getPropertyValue("--faint"),
      grid: { stroke: style.getPropertyValue("--line"), width: 1 },
      ticks: { show: false },
      font: `12px ${style.fontFamily}`,
    };
    const range = isLogarithmic
      ? (_plot, low, high) => globalThis.uPlot.rangeLog(low ?? 1e-5, high ?? 1, 10, false)
      : (_plot, _low, high) => [0, Math.max(10, (high ?? 0) * 1.1)];
    this.#plot = new globalThis.uPlot(
      {
        width: this.#canvas.clientWidth,
        height: this.#height,
        padding: [8, 26, 0, 0],
        legend: { show: false },
        cursor: { sync: { key: "keyline" }, drag: { x: false, y: false } },
        hooks: { setCursor: [() => this.#showValues()] },
        scales: {
          x: { range: () => [this.#span.from, this.#span.until] },
          y: { range, distr: isLogarithmic ? 3 : 1 },
        },
        axes: [
          {
            ...axis,
            size: 28,
            space: this.figure.className === "large" ? 90 : 60,
            values: (_plot, ticks) => ticks.map(clock),
          },
          {
            ...axis,
            size: 64,
            grid: { ...axis.grid, ...filter },
            ...filter,
            ...(increments && { incrs: increments }),
            values: (_plot, ticks) => ticks.map((tick) => tick === null ? "" : format(tick)),
          },
        ],
        series: [
          {},
          ...lines.map(({ width = 1.5, colour }, i) => ({
            stroke: colour ?? COLOURS[i],
            width,
            points: {
              show: false,
              filter: lonePoints,
              fill: colour ?? COLOURS[i],
              width: 0,
              size: width + 3,
            },
          })).toReversed(),
        ],
      },
      data,
      this.#canvas,
    );
    this.#plot.root.setAttribute("role", "img");
    this.#plot.root.setAttribute("aria-label", caption);
  }

  get #height() {
    return HEIGHT[this.figure.className];
  }

  /** The legend shows the values at the pointer, or else the latest ones: it is never empty. */
  #showValues() {
    const index = this.#plot?.cursor.idx;
    const frame = this.#frames[index ?? this.#frames.length - 1];
    if (frame === undefined) return;
    show(this.#time, typeof index === "number" ? clock(frame.at / 1_000) : "");
    for (const item of this.#legend) item.show(frame, this.#options.format);
  }

  #resize() {
    const width = this.#canvas.clientWidth;
    if (width === 0 || width === this.#plot?.width) return;
    if (this.#plot !== undefined) this.#plot.setSize({ width, height: this.#height });
  }
}

/** A line's name and value. It keeps its place while the line has no name yet. */
class LegendItem {
  #line;
  #name = element("span");
  #value = element("b");
  item = element("li");

  constructor(line, colour) {
    this.#line = line;
    const { width = 2 } = line;
    const key = element("i");
    key.style.background = line.colour ?? colour;
    key.style.height = `${width}px`;
    this.item.append(key, this.#name, this.#value);
  }

  show(frame, format) {
    const name = this.#line.label();
    this.item.style.visibility = name === undefined ? "hidden" : "visible";
    show(this.#name, name ?? "");
    show(this.#value, format(this.#line.read(frame)));
  }
}

/** The points without neighbours, which no line shows. */
function lonePoints(plot, series) {
  const values = plot.data[series];
  const isThere = (i) => typeof values[i] === "number";
  return [...values.keys()].filter((i) => isThere(i) && !isThere(i - 1) && !isThere(i + 1));
}

/** A line for each of the nine steps between two powers of ten would be all that one sees. */
function onlyPowersOfTen(_plot, ticks) {
  return ticks.map((tick) =>
    Number.isInteger(Math.round(1e9 * Math.log10(tick)) / 1e9) ? tick : null
  );
}
