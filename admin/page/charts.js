/** The charts of the page, drawn by uPlot from the frames that there are. */

import { bytes, clock, duration, number } from "./format.js";

const HEIGHT = 190;
/** Colours that stand out on light and on dark, also for most who see fewer of them (Okabe and Ito). */
const COLOURS = ["#0b84d8", "#e58a00", "#009e73", "#d1559b", "#d55e00", "#7a6ff0", "#8a8f98"];
/** So many operations have a line of their own; the others share one. */
const LINES_MAX = COLOURS.length - 1;

/** Every chart: its caption, how it writes values, and its lines. */
const CHARTS = [
  {
    caption: "Latency",
    format: duration,
    isLogarithmic: true,
    lines: [
      ["p50", (frame) => frame.latency?.p50],
      ["p99", (frame) => frame.latency?.p99],
      ["p99.9", (frame) => frame.latency?.p999],
    ],
  },
  {
    caption: "Commit, its sync included",
    format: duration,
    isLogarithmic: true,
    lines: [["p50", (frame) => frame.commit?.p50], ["p99", (frame) => frame.commit?.p99]],
  },
  {
    caption: "Requests per turn",
    format: number,
    lines: [["mean", (frame) => frame.batch]],
  },
  {
    caption: "Connections",
    format: number,
    lines: [["open", (frame) => frame.connections]],
  },
  {
    caption: "Memory",
    format: bytes,
    increments: Array.from({ length: 31 }, (_, i) => 2 ** (i + 10)),
    lines: [["resident", (frame) => frame.memory]],
  },
];

export class Charts {
  #place;
  #charts;
  #operations = "";

  constructor(place) {
    this.#place = place;
    this.#charts = CHARTS.map((chart) => new Chart(chart));
    place.append(...this.#charts.map(({ figure }) => figure));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const chart of this.#charts) chart.rebuild();
    });
  }

  /** Draws the frames of the last seconds. */
  show(frames, seconds) {
    const until = frames.at(-1)?.at / 1_000;
    if (Number.isNaN(until)) return;
    const shown = frames.filter(({ at }) => at / 1_000 > until - seconds);
    this.#fitOperations(frames);
    for (const chart of this.#charts) chart.draw(shown, { from: until - seconds, until });
  }

  /** Makes the chart of requests again when an operation turns up that it has no line for. */
  #fitOperations(frames) {
    const totals = new Map();
    for (const { operations } of frames) {
      for (const [name, { rate }] of Object.entries(operations)) {
        totals.set(name, (totals.get(name) ?? 0) + rate);
      }
    }
    const names = [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a));
    const own = names.slice(0, LINES_MAX).sort();
    const others = names.slice(LINES_MAX);
    if (this.#operations === [...own, "", ...others].join()) return;
    const isFirst = this.#operations === "";
    this.#operations = [...own, "", ...others].join();
    const rateOf = (frame, name) => frame.operations[name]?.rate ?? 0;
    const lines = own.map((name) => [name.toUpperCase(), (frame) => rateOf(frame, name)]);
    if (others.length > 0) {
      const sum = (frame) => others.reduce((sum, name) => sum + rateOf(frame, name), 0);
      lines.push(["others", sum]);
    }
    const chart = new Chart({ caption: "Requests a second", format: number, lines });
    if (!isFirst) this.#charts.shift().figure.remove();
    this.#charts.unshift(chart);
    this.#place.prepend(chart.figure);
  }
}

class Chart {
  #options;
  #plot;
  #span = { from: 0, until: 1 };
  figure = document.createElement("figure");
  #canvas = document.createElement("div");

  constructor(options) {
    this.#options = options;
    const caption = document.createElement("figcaption");
    caption.textContent = options.caption;
    this.figure.append(caption, this.#canvas);
    new ResizeObserver(() => this.#resize()).observe(this.#canvas);
  }

  draw(frames, span) {
    this.#span = span;
    const times = frames.map(({ at }) => at / 1_000);
    // A logarithmic scale has no place for what took no time at all.
    const values = this.#options.lines.map(([, read]) =>
      frames.map((frame) => read(frame) || null)
    );
    const zero = this.#options.isLogarithmic ? null : 0;
    const data = [times, ...values.map((line) => line.map((value) => value ?? zero))];
    if (this.#plot === undefined) this.#build(data);
    else this.#plot.setData(data);
  }

  /** Builds it again in the colours of now. */
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
    const style = getComputedStyle(document.documentElement);
    const axis = {
      stroke: style.getPropertyValue("--faint"),
      grid: { stroke: style.getPropertyValue("--line"), width: 1 },
      ticks: { stroke: style.getPropertyValue("--line"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    const range = isLogarithmic
      ? (_plot, low, high) => globalThis.uPlot.rangeLog(low ?? 1e-5, high ?? 1, 10, false)
      : (_plot, _low, high) => [0, Math.max(1, (high ?? 0) * 1.1)];
    this.#plot = new globalThis.uPlot(
      {
        width: this.#canvas.clientWidth,
        height: HEIGHT,
        cursor: { sync: { key: "keyline" }, drag: { x: false, y: false } },
        scales: {
          x: { range: () => [this.#span.from, this.#span.until] },
          y: { range, distr: isLogarithmic ? 3 : 1 },
        },
        axes: [
          { ...axis, size: 30, space: 70, values: (_plot, ticks) => ticks.map(clock) },
          {
            ...axis,
            size: 76,
            grid: { ...axis.grid, ...filter },
            ticks: { ...axis.ticks, ...filter },
            ...(increments && { incrs: increments }),
            values: (_plot, ticks) => ticks.map((tick) => tick === null ? "" : format(tick)),
          },
        ],
        series: [
          { label: "at", value: (_plot, time) => time === null ? "–" : clock(time) },
          ...lines.map(([label], i) => ({
            label,
            stroke: COLOURS[i],
            width: 1.5,
            points: { show: false },
            value: (_plot, value) => value === null ? "–" : format(value),
          })),
        ],
      },
      data,
      this.#canvas,
    );
    this.#plot.root.setAttribute("role", "img");
    this.#plot.root.setAttribute("aria-label", caption);
  }

  #resize() {
    const width = this.#canvas.clientWidth;
    if (width > 0 && width !== this.#plot?.width) this.#plot?.setSize({ width, height: HEIGHT });
  }
}

/** A line for each of the nine steps between two powers of ten would be all that one sees. */
function onlyPowersOfTen(_plot, ticks) {
  return ticks.map((tick) =>
    Number.isInteger(Math.round(1e9 * Math.log10(tick)) / 1e9) ? tick : null
  );
}
