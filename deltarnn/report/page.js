"use strict";
// The page: its state, and what follows where something of it changes.

const report = JSON.parse(document.getElementById("data").textContent);
const model = decoded(report.model);
const size = model.layers.at(-1).units; // results of a frame
const activation = model.formats.activation;
const MOST = 2 ** width(activation) - 1; // no delta is greater
const SLICE = 12; // milliseconds of work between two pictures
const MOST_CLASSES = 16; // results that the answer shows

const recordings = report.recordings.map((each) => ({
  ...each,
  frames: new (each.bits === 8 ? Int8Array : Int16Array)(integers(each.frames, Uint8Array).buffer),
}));

const state = {
  recording: report.first,
  frame: recordings[report.first].length - 1,
  playing: false,
  speed: 5, // frames a second
  lanes: report.lanes,
  thresholds: ownThresholds(model),
  trace: null, // of the recording that is shown
  summaries: [], // of all recordings at these thresholds; what is not yet known is undefined
  own: null, // the same at the file's thresholds, once it is known
  sweep: 0, // number of the last change of thresholds
};

const element = (id) => document.getElementById(id);

// An element with attributes and children; texts are texts, whatever they hold.
function made(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

const whole = (number) => Math.round(number).toLocaleString("en");
const counted = (number, what) => `${whole(number)} ${what}${number === 1 ? "" : "s"}`;
const short = (number) => number.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const nameOf = (label) => model.labels?.[label] || `class ${label}`;
const atOwn = () => String(state.thresholds) === String(ownThresholds(model));
const textOf = (labels) => labels.map((label) => model.labels?.[label] ?? label).join(" ");
const answered = (said) => (Array.isArray(said) ? textOf(said) || "nothing" : nameOf(said));

// What recordings are called, without the path that all have in common.
function shortNames(names) {
  const folder = (name) => name.slice(0, name.lastIndexOf("/") + 1);
  const common = folder(names[0]);
  const without = (start, list) =>
    list.every((name) => name.startsWith(start)) ? list.map((name) => name.slice(start.length)) : list;
  const within = without(common, names);
  return within.length > 1 ? without(`${within[0].split(", ")[0]}, `, within) : within;
}

// Whether a recording's answer is right; null where that has no meaning.
function rightness(n) {
  const errors = state.summaries[n]?.errors;
  return errors && model.readout !== "value" ? errors[0] === 0 : null;
}

// --- Computing ------------------------------------------------------------------------------------------------------

function compute(n) {
  const trace = runNetwork(model, recordings[n].frames, state.thresholds);
  state.summaries[n] = summaryOf(model, trace, recordings[n].wanted);
  return trace;
}

// Thresholds changed: the recording that is shown at once, all others between the pictures that follow.
function thresholdsChanged() {
  state.sweep += 1;
  state.summaries = [];
  element("tiles").classList.add("busy");
  element("all").classList.add("busy");
  state.trace = compute(state.recording);
  drawPages();
  showThresholds();
  showMoment();
  computeOthers(state.sweep);
}

function computeOthers(sweep) {
  if (sweep !== state.sweep) return; // thresholds have changed since
  const until = performance.now() + SLICE;
  let n = recordings.findIndex((_, k) => state.summaries[k] === undefined);
  while (n >= 0 && performance.now() < until) {
    compute(n);
    n = recordings.findIndex((_, k) => state.summaries[k] === undefined);
  }
  showProgress();
  if (n >= 0) {
    setTimeout(computeOthers, 0, sweep);
    return;
  }
  if (atOwn()) {
    state.own = state.summaries;
    showEquality();
  }
  showTiles();
  showStrip();
}

// How far it is: only where that takes so long that somebody sees it.
function showProgress() {
  const done = state.summaries.filter(Boolean).length;
  element("progress").textContent = done === recordings.length ? "" :
    `Computing: ${whole(done)} of ${counted(recordings.length, "recording")} at these thresholds.`;
}

// --- The recording that plays ---------------------------------------------------------------------------------------

let layout = null;
const pages = { lit: document.createElement("canvas"), later: document.createElement("canvas"), first: 0 };

function drawPages() {
  layout = new RasterLayout(model, state.trace.length, element("raster").clientWidth);
  pages.first = layout.first(state.frame);
  drawRaster(pages.lit, layout, model, state.trace, pages.first, FIRED);
  drawRaster(pages.later, layout, model, state.trace, pages.first, LATER);
}

// All that depends on the frame.
function showMoment() {
  if (layout.first(state.frame) !== pages.first) drawPages();
  showPresent(element("raster"), layout, pages, state.frame);
  element("scrub").value = state.frame;
  element("frame").textContent = `frame ${state.frame + 1} of ${state.trace.length}`;
  const events = eventsAt(model, state.trace, state.frame);
  const dense = model.layers.map(columnsOf);
  element("hint").textContent =
    `Frame ${state.frame + 1}: ${totalOf(events)} of ${counted(totalOf(dense), "column")} fire, and ` +
    `${whole(fetchesOf(model, events))} of ${counted(fetchesOf(model, dense), "weight")} are fetched, in at least ` +
    `${counted(cyclesOf(model, events, state.lanes), "cycle")}.`;
  showAnswer();
  showTimeline();
}

function chooseRecording(n) {
  state.recording = (n + recordings.length) % recordings.length;
  const { length } = recordings[state.recording];
  state.trace = compute(state.recording);
  state.frame = state.playing ? 0 : length - 1;
  element("recording").value = state.recording;
  element("scrub").max = length - 1;
  drawPages();
  showMoment();
  showStrip();
}

function chooseFrame(t) {
  state.frame = Math.max(0, Math.min(state.trace.length - 1, t));
  showMoment();
}

function play(on) {
  state.playing = on;
  element("play").textContent = on ? "Pause" : "Play";
  if (!on) return;
  if (state.frame === state.trace.length - 1) chooseFrame(0);
  let since = performance.now();
  const tick = (now) => {
    if (!state.playing) return;
    const frames = Math.floor(((now - since) * state.speed) / 1000);
    if (frames > 0) {
      since += (1000 * frames) / state.speed;
      chooseFrame(state.frame + frames);
      if (state.frame === state.trace.length - 1) {
        play(false);
        return;
      }
    }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

function pointedAt(event) {
  const box = element("raster").getBoundingClientRect();
  return layout.at(event.clientX - box.left, event.clientY - box.top, pages.first, state.trace.length);
}

// What lies under the pointer.
function explain(event) {
  const place = pointedAt(event);
  if (!place || !place.group) return;
  const { t, group, column } = place;
  const delta = deltasOf(state.trace, group)[t * group.size + column];
  const layer = model.layers[group.layer];
  const theta = state.thresholds[group.layer][group.name === "x" ? 0 : 1];
  element("hint").textContent =
    `Frame ${t + 1}, layer ${group.layer}, column ${column + 1} of ${group.name}: ` +
    (delta
      ? `moved by ${delta} steps, more than ${theta}; its ${whole(weightsOf(layer))} weights are fetched.`
      : `has not moved by more than ${theta} steps; nothing is fetched.`);
}

// --- The answer -----------------------------------------------------------------------------------------------------

const READINGS = {
  sum: "The answer is the class with the largest sum of results over all frames.",
  last: "The answer is the class with the largest result in the last frame.",
  frame: "In each frame the answer is the class with the largest result.",
  ctc: "The answer is a string: the class of each frame, repeats once, without blanks.",
  value: "The answer is the numbers themselves, in each frame.",
};

function showAnswer() {
  const { wanted } = recordings[state.recording];
  const results = (state.trace.results ??= resultsOf(model, state.trace)); // once a trace
  const shown = model.readout ? scores(model.readout, results, state.frame, size) : row(results, state.frame, size);
  const said = model.readout ? answerAt(model.readout, results, state.frame, size) : null;
  const one = model.readout === "ctc" ? argmax(shown) : said; // the class whose bar is lit
  const now = model.readout === "frame" ? wanted?.[state.frame] : wanted;
  const ofAll = model.readout === "value" ? results : shown; // numbers have one scale over all frames
  const most = ofAll.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
  const low = Math.min(0, ...shown) / most;
  const span = Math.max(0, ...shown) / most - low || 1;
  const order = Array.from(shown.keys());
  const others = size > MOST_CLASSES && order.sort((a, b) => shown[b] - shown[a]).splice(MOST_CLASSES);
  if (others && others.includes(now)) order.splice(-1, 1, now);
  element("answer-title").textContent =
    (model.readout === "sum" ? "Results, summed so far" : "Results of this frame") +
    (others ? `: ${order.length} of ${size}` : "");
  element("answer").replaceChildren(...order.map((n) => {
    const [a, b] = [Math.min(0, shown[n] / most), Math.max(0, shown[n] / most)];
    const style = `left:${(100 * (a - low)) / span}%;width:${(100 * (b - a)) / span}%`;
    const is = [n === one && "said", n === now && "wanted"].filter(Boolean).join(" ");
    return made("div", { class: `class ${is}` },
      made("span", { class: "label", style: model.readout === "value" && `color:${lineColour(n)}` },
        model.labels?.[n] || String(n)),
      made("span", { class: "track" }, made("i", { style })),
      made("span", { class: "number" }, shown[n].toFixed(Math.abs(most) < 10 ? 2 : 1)));
  }));
  if (model.readout === "value") {
    element("numbers").hidden = false;
    drawNumbers(element("numbers"), results, wanted, state.frame, size, element("answer").clientWidth);
  }
  showVerdict(said, wanted);
}

function showVerdict(said, wanted) {
  const node = element("verdict");
  node.replaceChildren();
  if (!model.readout) {
    node.textContent = "The model does not say how results become answers.";
    return;
  }
  const text = model.readout === "value" ? "" : `After frame ${state.frame + 1}: `;
  const end = rightness(state.recording);
  if (text) node.append(text, made("b", {}, answered(said)), ". ");
  if (wanted !== null && end !== null) {
    const word = made("b", { class: end ? "right" : "fired" }, end ? "right" : "wrong");
    const [wrong, all] = state.summaries[state.recording].errors;
    if (model.readout === "frame") {
      node.append(`Wanted: ${nameOf(wanted[state.frame])}. ${all - wrong} of ${all} frames are right. `);
    } else {
      node.append(`Wanted: ${answered(wanted)}. At its end it is `, word, ". ");
    }
  }
  if (model.readout === "value" && wanted !== null) {
    const numbers = [wanted[state.frame]].flat().map((number) => number.toFixed(2));
    node.append(`Wanted in this frame: ${numbers.join(", ")}. `);
  }
  node.title = READINGS[model.readout];
}

// --- Figures --------------------------------------------------------------------------------------------------------

function tile(id, what, value, of, share, below, good = false) {
  return made("div", { class: "card tile", id },
    made("div", { class: "what" }, what),
    made("div", { class: "value" }, value, made("small", {}, of)),
    ...(share === null ? [] : [
      made("div", { class: `share ${good ? "good" : ""}` }, made("i", { style: `width:${100 * share}%` }))]),
    made("div", { class: "below" }, below));
}

// How much less than dense, or what the file's thresholds give where these are others.
function below(now, dense, own) {
  const times = now > 0 ? `${(dense / now).toFixed(1)} times fewer` : "none at all";
  return own === null || atOwn() ? `${times} than dense` : `${times}; file\u2019s ${short(own)}`;
}

function showTiles() {
  const now = figuresOf(model, state.summaries, state.lanes);
  const own = state.own && figuresOf(model, state.own, state.lanes);
  const tiles = [];
  if (now.error !== null) tiles.push(accuracyTile(now, own));
  tiles.push(
    tile("columns", "columns that fire in a frame", short(now.columns), ` of ${now.columnsDense}`,
      now.columns / now.columnsDense, below(now.columns, now.columnsDense, own && own.columns)),
    tile("fetches", "weights fetched in a frame", short(now.fetches), ` of ${whole(now.fetchesDense)}`,
      now.fetches / now.fetchesDense, below(now.fetches, now.fetchesDense, own && own.fetches)),
    tile("cycles", "cycles of a frame, at least", short(now.cycles), ` of ${whole(now.cyclesDense)}`,
      now.cycles / now.cyclesDense, below(now.cycles, now.cyclesDense, own && own.cycles)));
  element("tiles").replaceChildren(...tiles);
  element("tiles").classList.remove("busy");
  element("tiles").style.gridTemplateColumns = tiles.length === 3 ? "repeat(3, 1fr)" : "";
}

function accuracyTile(now, own) {
  const { readout } = model;
  const [title, shown] = {
    value: ["root mean square of the error", (error) => error.toPrecision(4)],
    ctc: ["labels wrong", (error) => percent(error, 2)],
  }[readout] ?? ["answers that are right", (error) => percent(1 - error, 2)];
  const [wrong, all] = now.errors;
  const of = { value: "over all numbers", ctc: `${whole(wrong)} edits of ${whole(all)} labels` }[readout]
    ?? `${whole(all - wrong)} of ${whole(all)} ${readout === "frame" ? "frames" : "recordings"}`;
  const share = readout === "value" ? null : Math.min(1, readout === "ctc" ? now.error : 1 - now.error);
  const text = own && !atOwn() ? `${of}; file\u2019s ${shown(own.error)}` : of;
  return tile("right", title, shown(now.error), "", share, text, readout !== "ctc");
}

// A square for each recording: whether its answer is right, and which one is shown.
function showStrip() {
  const judged = recordings.some((_, n) => rightness(n) !== null);
  element("all").hidden = !(judged && recordings.length > 1);
  const title = element("all-title");
  const quiet = (text) => made("span", { class: "quiet", style: "font-weight:400" }, text);
  const right = { frame: "right in every frame", ctc: "every label right" }[model.readout] ?? "right";
  title.replaceChildren("All recordings ", quiet(`green: ${right}, red: not; click one to see it`));
  element("all").classList.remove("busy");
  element("strip").replaceChildren(...recordings.map((_, n) => {
    const right = rightness(n);
    const is = [right === true && "good", right === false && "bad", n === state.recording && "chosen"];
    const name = `${names[n]}${recordings[n].wanted === null ? "" : `, wanted: ${labelOf(n)}`}`;
    return made("button", {
      class: is.filter(Boolean).join(" "), title: name, "aria-label": name, onclick: () => chooseRecording(n) });
  }));
}

const names = shortNames(recordings.map((each) => each.name));

// What is wanted of a recording in a few words.
function labelOf(n) {
  const { wanted } = recordings[n];
  if (wanted === null || model.readout === "value") return "";
  if (!Array.isArray(wanted)) return nameOf(wanted);
  const some = model.readout === "frame" ? [...new Set(wanted)] : wanted;
  return textOf(some.slice(0, 5)) + (some.length > 5 ? " \u2026" : "");
}

// What the page computed against what golden computed when the file was made.
function showEquality() {
  const { checksum, events, frames } = figuresOf(model, state.own, state.lanes);
  const same = checksum === report.expected.checksum && String(events) === String(report.expected.events);
  element("equality").textContent = same
    ? "This page computes every figure itself. At the file\u2019s thresholds all results and events of " +
      `${whole(frames)} frames are those of the integer model in NumPy, which defines every bit of the RTL.`
    : "Something is wrong: at the file\u2019s thresholds this browser\u2019s results are not the integer model\u2019s.";
  element("equality").dataset.same = same;
}

// --- Thresholds -----------------------------------------------------------------------------------------------------

const own = ownThresholds(model);
const TOP = Math.min(MOST, Math.max(2 ** (activation[1] + 1), 3 * Math.max(...own.flat()))); // of the sliders
const controls = []; // {layer, which, range, number, row}

function setThreshold(layer, which, value) {
  if (!Number.isInteger(value)) {
    showThresholds(); // what is in use, and not what was typed
    return;
  }
  state.thresholds[layer][which] = Math.max(0, Math.min(MOST, value));
  thresholdsChanged();
}

function setAll(of) {
  state.thresholds = own.map((pair) => pair.map((theta) => Math.min(MOST, of(theta))));
  thresholdsChanged();
}

function makeControl(layer, which) {
  const name = which ? "h" : "x";
  const label = `threshold of ${name}, layer ${layer}`;
  const set = (event) => setThreshold(layer, which, event.target.valueAsNumber);
  const range = made("input", { type: "range", min: 0, max: TOP, "aria-label": label, oninput: set });
  const number = made("input", { type: "number", min: 0, max: MOST, "aria-label": `${label}, exactly`, onchange: set });
  // A range's thumb is 16 pixels wide, and its middle stands for the value.
  const share = own[layer][which] / TOP;
  const mark = made("i", { class: "own", title: `the file's: ${own[layer][which]}`,
    style: `left:calc(${100 * share}% + ${8 - 16 * share}px)` });
  const row = made("div", { class: "theta" }, name, made("span", { class: "slide" }, range, mark), number);
  controls.push({ layer, which, range, number, row });
  return row;
}

function makeControls() {
  element("sliders").replaceChildren(...model.layers.map((layer, k) => {
    const title = `layer ${k}, ${KIND_NAMES[layer.kind]} ${layer.inputs} \u2192 ${layer.units}`;
    const rows = layer.state ? [makeControl(k, 0), makeControl(k, 1)] : [makeControl(k, 0)];
    return made("div", { class: "layer" }, title, ...rows);
  }));
  element("theta-unit").textContent =
    `steps of 1/${2 ** activation[1]}; \u25b4 the file\u2019s`;
}

function showThresholds() {
  for (const { layer, which, range, number, row } of controls) {
    const value = state.thresholds[layer][which];
    range.value = value;
    number.value = value;
    row.classList.toggle("moved", value !== own[layer][which]);
  }
  element("back").disabled = atOwn();
}

function chooseLanes(lanes) {
  state.lanes = lanes;
  element("cycles-note").textContent =
    `Cycles are a bound: events times row blocks, the fewest that ${lanes} lanes can take. A core takes some more at ` +
    "the ends of a frame.";
  if (state.summaries.filter(Boolean).length === recordings.length) showTiles();
  if (state.trace) showMoment();
}

// --- The engine's timeline ------------------------------------------------------------------------------------------

function showTimeline() {
  const record = report.timeline;
  if (!record) return;
  const there = state.recording === record.recording && state.frame < record.finishes.length;
  const t = there ? state.frame : record.finishes.length - 1;
  const taken = record.finishes[t] - (t ? record.finishes[t - 1] : -1);
  const all = record.finishes.length;
  element("timeline-note").textContent =
    `Recorded from the RTL by simulation, at the file\u2019s thresholds and with ${record.lanes} lanes. Frame ` +
    `${t + 1} of ${names[record.recording]}: its last slot goes out ${counted(taken, "cycle")} after that of the ` +
    "frame before. " +
    `The bound of its ${counted(record.events[t], "event")} is ${record.ideal[t]}; some may be walked early, ` +
    `beside the frame before. What was recorded, ${counted(all, "frame")}, takes ` +
    `${counted(record.finishes[all - 1] + 1, "cycle")}; the bounds are ${whole(totalOf(record.ideal))} together.` +
    (there ? "" : " (The frame above was not recorded.)");
  drawTimeline(element("timeline"), record, t, element("timeline").clientWidth);
}

function makeTimelineKey() {
  const kinds = [...new Set(model.layers.map((layer) => layer.kind))];
  const gates = SLOTS.map((_, n) => kinds.map((kind) => SLOT_ROWS[kind][n]).filter(Boolean).join(" or "));
  const key = [...gates.map((gate, n) => [SLOTS[n], gate]), [IDLE_SLOT, "slot without an event"], [DENSE, "busy"]];
  element("timeline-key").replaceChildren("slots: ", ...key.map(([colour, what]) =>
    made("span", {}, made("i", { style: `background:${colour}` }), what)));
}

// --- Area and evidence ----------------------------------------------------------------------------------------------

const ROOMS = ["#a9c4de", "#a8d5ba", "#e6cfa6", "#dfb7d2", "#bcc3e6", "#a9d3d8", "#cfc2e5", "#d0d5da"];
const READABLE = [0.12, 0.055]; // the least width and height of a box with text in it, in heights of the picture

const roomOf = (file) => file.slice(0, file.lastIndexOf("/"));

function showArea(resource) {
  const area = report.area;
  element("area-section").hidden = !area;
  if (!area) return;
  const files = Object.entries(area.files).filter(([, counts]) => counts[resource] > 0);
  files.sort((a, b) => b[1][resource] - a[1][resource]);
  const total = totalOf(files.map(([, counts]) => counts[resource]));
  element("area-note").textContent =
    `As Yosys counts it for ${area.board} (${area.chip}), with ${area.lanes} lanes: ${whole(total)} ` +
    `${area.resources[resource]}. A file that takes none is not drawn.`;
  element("area-choice").replaceChildren(...Object.entries(area.resources).map(([key, name]) =>
    made("button", { class: key === resource ? "chosen" : "", onclick: () => showArea(key) }, name)));
  const rooms = [...new Set(Object.keys(area.files).map(roomOf))].sort();
  const boxes = treemap(files.map(([, counts]) => counts[resource]), 0, 0, 2, 1);
  element("area").replaceChildren(...files.map(([file, counts], n) => {
    const [x, y, wide, high] = boxes[n];
    const colour = ROOMS[rooms.indexOf(roomOf(file)) % ROOMS.length];
    const style = `left:${50 * x}%;top:${100 * y}%;width:${50 * wide}%;height:${100 * high}%;background:${colour}`;
    const room = wide >= READABLE[0] && high >= READABLE[1];
    const text = room ? `${file.replace("hw/", "")} ${whole(counts[resource])}` : "";
    return made("div", { style, title: `${file}: ${whole(counts[resource])} ${area.resources[resource]}` }, text);
  }));
}

function showEvidence() {
  const rows = report.evidence;
  element("evidence-section").hidden = !rows;
  if (!rows) return;
  const head = made("tr", {}, ...["kind", "what was found", "share", "minutes"].map((text, n) =>
    made("th", { class: n > 1 ? "number" : "" }, text)));
  element("evidence").replaceChildren(head, ...rows.map(({ kind, found, share, minutes }) =>
    made("tr", {}, made("td", {}, kind), made("td", {}, found),
      made("td", { class: "number" }, percent(share, 0)), made("td", { class: "number" }, String(minutes)))));
}

// --- Beginning ------------------------------------------------------------------------------------------------------

function options(select, values, text, chosen) {
  select.replaceChildren(...values.map((value) =>
    made("option", { value, selected: value === chosen }, text(value))));
}

function begin() {
  const last = model.layers.at(-1);
  const chain = model.layers.map((layer) => `${KIND_NAMES[layer.kind]} ${layer.units}`);
  element("name").textContent = model.name;
  element("shape").textContent =
    `${[counted(model.layers[0].inputs, "input"), ...chain].join(" \u2192 ")}; ` +
    `activations Q${activation.join(".")}, weights of 8 bits`;
  element("source").textContent =
    `Model file ${model.sha256}. ` + (recordings.length < report.of
      ? `${whole(recordings.length)} of ${whole(report.of)} recordings are on this page: all that it has room for, ` +
        "evenly spread."
      : `Recordings on this page: ${whole(report.of)}, which are all.`);
  element("saturated").textContent = report.saturated === 0 ? "" :
    `${percent(report.saturated)} of all inputs are at an end of their range, where they can move no further: what ` +
    "they save may be a loss.";
  const keys = [...recordings.keys()];
  options(element("recording"), keys, (n) => [names[n], labelOf(n)].filter(Boolean).join(" \u2013 "), state.recording);
  const speeds = [1, 2, 5, 10, 20, 50, 100];
  const usual = recordings[state.recording].length / 6;
  state.speed = speeds.find((speed) => speed >= usual) ?? 100;
  options(element("speed"), speeds, String, state.speed);
  const lanes = [...Array(11).keys()].map((n) => 2 ** n).filter((n) => n <= report.mostLanes);
  if (!lanes.includes(report.lanes)) lanes.push(report.lanes);
  options(element("lanes"), lanes.sort((a, b) => a - b), String, report.lanes);
  makeControls();
  element("timeline-section").hidden = !report.timeline;
  makeTimelineKey();
  element("scrub").max = recordings[state.recording].length - 1;
  element("before").onclick = () => chooseRecording(state.recording - 1);
  element("after").onclick = () => chooseRecording(state.recording + 1);
  element("recording").onchange = (event) => chooseRecording(Number(event.target.value));
  element("play").onclick = () => play(!state.playing);
  element("scrub").oninput = (event) => chooseFrame(event.target.valueAsNumber);
  element("speed").onchange = (event) => { state.speed = Number(event.target.value); };
  element("lanes").onchange = (event) => chooseLanes(Number(event.target.value));
  element("back").onclick = () => setAll((theta) => theta);
  element("zero").onclick = () => setAll(() => 0);
  element("twice").onclick = () => setAll((theta) => 2 * theta);
  element("raster").onpointermove = explain;
  element("raster").onpointerleave = showMoment;
  element("raster").onclick = (event) => {
    const place = pointedAt(event);
    if (place) chooseFrame(place.t);
  };
  element("raster").onkeydown = (event) => {
    const { length } = state.trace;
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -length, End: length }[event.key];
    if (!step) return;
    event.preventDefault();
    chooseFrame(state.frame + step);
  };
  window.onresize = () => {
    drawPages();
    showMoment();
  };
  chooseLanes(report.lanes);
  showArea("lut");
  showEvidence();
  thresholdsChanged();
}

begin();
