// Listens to the receiver and keeps the page up to date, once a second.

import { Charts } from "./charts.js";
import { Points } from "./series.js";
import { drawEvents, drawStreams, drawTiles } from "./tables.js";
import { clock, streamTitle } from "./words.js";

const PICTURE_INTERVAL = 1000; // ms
const at = (id) => document.getElementById(id);
const name = (stream) => `${stream.ssrc}/${stream.epoch}`;

const points = new Points();
const charts = new Charts(at("charts"));
let report = null;
let paused = false;
let shownEvents = "";

function draw() {
  if (!report) return;
  at("verdict").textContent = report.verdict;
  at("clock").textContent = clock(report.duration_s);
  drawChoice(report.streams);
  const chosen = at("stream").value;
  const stream = report.streams.find((each) => name(each) === chosen);
  const rows = points.of(chosen);
  if (stream) drawTiles(at("tiles"), stream, rows);
  charts.draw(rows, Number(document.querySelector("input[name=window]:checked").value));
  drawStreams(at("streams-head"), at("streams"), report.streams, chosen, name);
  const events = JSON.stringify(report.events);
  if (events !== shownEvents) drawEvents(at("events"), report.events);
  shownEvents = events;
}

/** The streams to choose from; what the reader chose stays chosen. */
function drawChoice(streams) {
  const select = at("stream");
  const known = Array.from(select.options, (option) => option.value);
  if (known.join() === streams.map(name).join()) return;
  const preferred = streams.filter((each) => each.media === "video").at(-1) ?? streams.at(-1);
  const chosen = streams.find((each) => select.dataset.chosen === name(each)) ?? preferred;
  select.replaceChildren(...streams.map((each) => new Option(streamTitle(each), name(each))));
  if (chosen) select.value = name(chosen);
}

function say(kind, text) {
  const state = at("state");
  if (state.textContent === text) return;
  state.dataset.kind = kind;
  state.textContent = text;
}

function listen() {
  const source = new EventSource("/api/stream");
  source.addEventListener("history", ({ data }) => points.begin(JSON.parse(data)));
  source.addEventListener("update", ({ data }) => {
    const newest = JSON.parse(data);
    points.add(newest.point);
    say("live", paused ? "paused" : "live");
    if (paused) return;
    report = newest;
    draw();
  });
  source.addEventListener("error", () => {
    say("lost", "not connected");
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

async function showPicture() {
  if (paused || document.hidden || !report?.streams.some((stream) => stream.frames)) return;
  const answer = await fetch("/picture.jpg");
  if (answer.status !== 200) return;
  const image = at("picture");
  const before = image.src;
  image.src = URL.createObjectURL(await answer.blob());
  if (before) URL.revokeObjectURL(before);
  at("picture-section").hidden = false;
}

function keepShowing() {
  showPicture().catch(() => {}).finally(() => setTimeout(keepShowing, PICTURE_INTERVAL));
}

at("pause").addEventListener("click", ({ target }) => {
  paused = !paused;
  target.setAttribute("aria-pressed", String(paused));
  say("live", paused ? "paused" : "live");
});
at("stream").addEventListener("change", ({ target }) => {
  target.dataset.chosen = target.value;
  draw();
});
document.querySelectorAll("input[name=window]").forEach((input) => input.addEventListener("change", draw));

listen();
keepShowing();
