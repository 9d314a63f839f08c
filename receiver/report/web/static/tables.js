// Verdict, tiles, streams and events. Text goes in as text, never as markup.

import { RATIOS, RECENT, shares } from "./series.js";
import { UNKNOWN, bitrate, clock, count, milliseconds, percent, streamTitle } from "./words.js";

const COLUMNS = [
  ["Stream", streamTitle],
  ["Sent", (stream) => count(stream.ledger.sent)],
  ["Arrived", (stream) => count(stream.ledger.arrived)],
  ["Lost", (stream) => count(stream.ledger.lost)],
  ["Late", (stream) => count(stream.ledger.late)],
  ["Recovered", (stream) => count(stream.ledger.recovered_rtx + stream.ledger.recovered_fec)],
  ["Missed", (stream) => count(stream.ledger.missed)],
  ["Reordered", (stream) => count(stream.ledger.reordered)],
  ["Duplicates", (stream) => count(stream.ledger.duplicates)],
  ["Jitter", (stream) => milliseconds(stream.jitter_ms)],
  ["Round trip", (stream) => milliseconds(stream.rtt_ms)],
  ["Bit-rate", (stream) => bitrate(stream.bitrate_bps)],
  ["Played", played],
];

function played(stream) {
  if (stream.frames) return `${count(stream.frames.rendered)} shown, ${stream.freezes?.count ?? 0} freezes`;
  const sound = stream.concealment;
  if (!sound || !sound.total_samples_received) return "–";
  return `${percent(sound.concealed_samples / sound.total_samples_received)} made up`;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

export function drawTiles(place, stream, rows) {
  place.replaceChildren(...RATIOS.map(({ key, field, name, means }, index) => {
    const { value, numerator, denominator } = stream.ratios[key];
    const recent = shares(rows, field).at(-1)?.y ?? null;
    const tile = element("li");
    tile.style.borderTopColor = `var(--series-${index + 1})`;
    tile.append(
      element("p", name, "name"),
      element("p", percent(value), "value"),
      element("p", value === null ? `${count(numerator)} of ${UNKNOWN} sent` : `${count(numerator)} of ${count(denominator)}`, "parts"),
      element("p", `${recent === null ? "–" : percent(recent)} in the last ${RECENT} s`, "recent"),
      element("p", means, "means"),
    );
    return tile;
  }));
}

export function drawStreams(head, body, streams, chosen, name) {
  if (!head.hasChildNodes()) {
    const row = element("tr");
    row.append(...COLUMNS.map(([title]) => Object.assign(element("th", title), { scope: "col" })));
    head.append(row);
  }
  body.replaceChildren(...streams.map((stream) => {
    const row = element("tr");
    if (name(stream) === chosen) row.setAttribute("aria-current", "true");
    row.append(...COLUMNS.map(([, write], index) => {
      const cell = element(index ? "td" : "th", write(stream));
      if (!index) cell.scope = "row";
      return cell;
    }));
    return row;
  }));
}

export function drawEvents(place, events) {
  const newest = events.slice().reverse();
  if (!newest.length) {
    place.replaceChildren(element("li", "Nothing yet."));
    return;
  }
  place.replaceChildren(...newest.map(({ time_s: time, kind, why }) => {
    const row = element("li");
    row.append(element("time", clock(time)), element("span", why || kind.replaceAll("_", " ")));
    return row;
  }));
}
