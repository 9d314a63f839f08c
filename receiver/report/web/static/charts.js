// The charts, drawn by Chart.js (loaded before this module).

import { RATIOS, RECENT, bufferDelay, plain, shares } from "./series.js";
import { bitrate, clock, milliseconds, percent } from "./words.js";

const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [12, 3]];

const CHARTS = [
  {
    title: "Shares of packets",
    note: `over the last ${RECENT} s`,
    write: percent,
    least: 0.001,
    lines: RATIOS.map(({ name, field }) => [name, (rows) => shares(rows, field)]),
  },
  {
    title: "Delay",
    note: "round trip, one way, playout after capture",
    write: milliseconds,
    least: 10,
    lines: [
      ["Round trip", (rows) => plain(rows, "rtt_ms")],
      ["One way", (rows) => plain(rows, "one_way_delay_ms")],
      ["Playout, median", (rows) => plain(rows, "playout_p50")],
      ["Playout, 95th percentile", (rows) => plain(rows, "playout_p95")],
    ],
  },
  {
    title: "Delay variation and jitter",
    note: "above the least seen, since the start; RFC 3550 jitter",
    write: milliseconds,
    least: 1,
    lines: [
      ["Median", (rows) => plain(rows, "variation_p50")],
      ["95th percentile", (rows) => plain(rows, "variation_p95")],
      ["99th percentile", (rows) => plain(rows, "variation_p99")],
      ["Jitter", (rows) => plain(rows, "jitter_ms")],
    ],
  },
  {
    title: "Jitter buffer",
    note: `mean delay over the last ${RECENT} s, and target`,
    write: milliseconds,
    least: 10,
    lines: [
      ["Delay", bufferDelay],
      ["Target", (rows) => plain(rows, "target_ms")],
    ],
  },
  {
    title: "Bit-rate",
    note: "RTP payload",
    write: bitrate,
    least: 1000,
    lines: [["Payload", (rows) => plain(rows, "bitrate_bps")]],
  },
];

/** Seconds between the marks of the time axis, for each length of it. */
const STEPS = { 60: 10, 300: 60, 900: 180 };

const FIRST_COLOUR = { "Jitter buffer": 3, "Bit-rate": 4, "Delay": 1 };

/** Puts the charts into `place`; `draw(rows, window)` brings them up to date. */
export class Charts {
  constructor(place) {
    this.charts = CHARTS.map((spec) => build(place, spec));
    this.paint();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
  }

  draw(rows, window) {
    const newest = rows.at(-1)?.t ?? 0;
    for (const { spec, chart, canvas } of this.charts) {
      const x = chart.options.scales.x;
      [x.min, x.max] = [Math.max(rows[0]?.t ?? 0, newest - window), Math.max(newest, (rows[0]?.t ?? 0) + 10)];
      x.afterBuildTicks = (axis) => { axis.ticks = marks(axis.min, axis.max, STEPS[window]); };
      chart.data.datasets.forEach((dataset, index) => {
        dataset.data = spec.lines[index][1](rows).filter((point) => point.x >= x.min);
      });
      chart.update("none");
      canvas.setAttribute("aria-label", spoken(spec, chart));
    }
  }

  /** In the colours of the page, which change with light and dark. */
  paint() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(`--${name}`).trim();
    for (const { spec, chart } of this.charts) {
      chart.data.datasets.forEach((dataset, index) => {
        dataset.borderColor = colour(series(spec, index));
        dataset.backgroundColor = dataset.borderColor;
      });
      for (const scale of Object.values(chart.options.scales)) {
        scale.ticks.color = colour("quiet");
        scale.grid.color = colour("line");
      }
      chart.update("none");
    }
  }
}

function build(place, spec) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const note = document.createElement("small");
  const plot = document.createElement("div");
  const canvas = document.createElement("canvas");
  caption.textContent = spec.title;
  note.textContent = spec.note;
  caption.append(note);
  plot.className = "plot";
  canvas.setAttribute("role", "img");
  plot.append(canvas);
  figure.append(caption, plot);
  place.append(figure);
  const chart = new Chart(canvas, configuration(spec));
  if (spec.lines.length > 1) figure.append(legend(spec, chart));
  return { spec, canvas, chart };
}

function series(spec, index) {
  return `series-${((index + (FIRST_COLOUR[spec.title] ?? 0)) % 5) + 1}`;
}

/** A button for each line, which hides and shows it. */
function legend(spec, chart) {
  const place = document.createElement("div");
  place.className = "legend";
  place.append(...spec.lines.map(([label], index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.append(sample(series(spec, index), DASHES[index]), label);
    button.addEventListener("click", () => {
      const shown = !chart.isDatasetVisible(index);
      chart.setDatasetVisibility(index, shown);
      chart.update("none");
      button.setAttribute("aria-pressed", String(shown));
    });
    return button;
  }));
  return place;
}

/** A short piece of a line. */
function sample(colour, dashes) {
  const [svg, line] = ["svg", "line"].map((name) => document.createElementNS("http://www.w3.org/2000/svg", name));
  for (const [name, value] of Object.entries({ width: 28, height: 8, "aria-hidden": true })) svg.setAttribute(name, value);
  for (const [name, value] of Object.entries({ x1: 0, x2: 28, y1: 4, y2: 4, "stroke-width": 2 })) line.setAttribute(name, value);
  line.setAttribute("stroke-dasharray", dashes.join(" "));
  line.style.stroke = `var(--${colour})`;
  svg.append(line);
  return svg;
}

function configuration(spec) {
  return {
    type: "line",
    data: {
      datasets: spec.lines.map(([label], index) => ({
        label, data: [], borderDash: DASHES[index], borderWidth: 2, pointRadius: 0, pointHitRadius: 8,
      })),
    },
    options: {
      animation: false,
      parsing: false,
      normalized: true,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { type: "linear", ticks: { callback: clock, maxRotation: 0, autoSkipPadding: 24 }, grid: {} },
        y: {
          beginAtZero: true, suggestedMax: spec.least, grid: {},
          ticks: { callback: (value) => spec.write(value), maxTicksLimit: 6 },
        },
      },
      plugins: {
        legend: { display: false },
        tooltip: {
          callbacks: {
            title: ([item]) => clock(item.parsed.x),
            label: (item) => `${item.dataset.label}: ${spec.write(item.parsed.y)}`,
          },
        },
      },
    },
  };
}

function marks(from, to, step) {
  const ticks = [];
  for (let value = Math.ceil(from / step) * step; value <= to; value += step) ticks.push({ value });
  return ticks;
}

/** What a screen reader says of a chart: its newest values. */
function spoken(spec, chart) {
  const values = chart.data.datasets.map(({ label, data }) => `${label} ${spec.write(data.at(-1)?.y ?? null)}`);
  return `${spec.title}, ${spec.note}. Now: ${values.join(", ")}.`;
}
