"use strict";
// What is drawn: which columns fire in which frame, what that fetches, an engine's frame cycle by cycle, and areas.

const STILL = "#e9ecef";
const FIRED = "#d1495b";
const LATER = "#f3ccd2"; // fires in a frame that has not come yet
const DENSE = "#495057";
const QUIET = "#6c757d";
const GUTTER = 44; // pixels left of the frames
const TITLE = 20; // pixels of a line of text above a group of rows
const BARS = 76; // pixels of the bars below
const FONT = '12px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif';

// A canvas of so many pixels of the page, sharp on any screen; returns its context, cleared.
function prepared(canvas, wide, high) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(wide * ratio);
  canvas.height = Math.round(high * ratio);
  canvas.style.height = `${high}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = FONT;
  context.textBaseline = "alphabetic";
  return context;
}

const KIND_NAMES = { gru: "GRU", lstm: "LSTM", linear: "read-out" };

// The rows of the raster: for each layer the columns of x, and of h where it is recurrent.
function groupsOf(model) {
  return model.layers.flatMap((layer, k) => {
    const of = `layer ${k}, ${KIND_NAMES[layer.kind]}`;
    const x = { layer: k, name: "x", title: `${of}: x`, size: layer.inputs };
    return layer.state ? [x, { layer: k, name: "h", title: `${of}: h`, size: layer.units }] : [x];
  });
}

const deltasOf = (trace, group) => (group.name === "x" ? trace.deltasX : trace.deltasH)[group.layer];

// Where things are: a page of frames beside each other, and the groups of rows below each other.
class RasterLayout {
  constructor(model, length, wide) {
    this.groups = groupsOf(model);
    this.wide = wide;
    const space = wide - GUTTER - 2;
    this.cell = Math.max(4, Math.min(40, space / length)); // of a frame
    this.frames = Math.min(length, Math.max(1, Math.floor(space / this.cell))); // on one page
    const rows = totalOf(this.groups.map((group) => group.size));
    this.row = Math.max(1, Math.min(9, Math.floor(360 / rows)));
    this.gap = { x: this.cell >= 7 ? 1 : 0, y: this.row >= 4 ? 1 : 0 };
    let y = 0;
    for (const group of this.groups) {
      group.top = y + TITLE;
      y = group.top + group.size * this.row + 4;
    }
    this.bars = y + TITLE;
    this.high = this.bars + BARS + 18;
  }

  // The first frame of the page that frame t is on.
  first(t) {
    return Math.floor(t / this.frames) * this.frames;
  }

  x(t) {
    return GUTTER + (t - this.first(t)) * this.cell;
  }

  // The frame, group and column at a place, or null.
  at(x, y, first, length) {
    const t = first + Math.floor((x - GUTTER) / this.cell);
    if (x < GUTTER || t >= Math.min(length, first + this.frames)) return null;
    const group = this.groups.find((each) => y >= each.top && y < each.top + each.size * this.row);
    return { t, group, column: group ? Math.floor((y - group.top) / this.row) : null };
  }
}

// One page of the raster without its present, fired cells in `colour`.
function drawRaster(canvas, layout, model, trace, first, colour) {
  const context = prepared(canvas, layout.wide, layout.high);
  const last = Math.min(trace.length, first + layout.frames);
  const right = GUTTER + (last - first) * layout.cell;
  for (const group of layout.groups) {
    const deltas = deltasOf(trace, group);
    const fired = deltas.reduce((n, delta) => n + (delta !== 0), 0);
    context.fillStyle = DENSE;
    const share = (100 * fired) / Math.max(1, deltas.length);
    const title = `${group.title} \u2013 ${share.toFixed(0)} % of ${group.size} columns fire`;
    context.fillText(title, GUTTER, group.top - 6);
    context.fillStyle = STILL;
    context.fillRect(GUTTER, group.top, right - GUTTER, group.size * layout.row);
    context.fillStyle = colour;
    for (let t = first; t < last; t++) {
      for (let j = 0; j < group.size; j++) {
        if (deltas[t * group.size + j] === 0) continue;
        context.fillRect(layout.x(t), group.top + j * layout.row, layout.cell, layout.row);
      }
    }
    drawGrid(context, layout, group, last - first, right);
  }
  drawBars(context, layout, model, trace, first, last, colour);
}

// White lines between cells, and the numbers of some columns.
function drawGrid(context, layout, group, frames, right) {
  context.fillStyle = "#fff";
  const low = group.top + group.size * layout.row;
  for (let t = 1; layout.gap.x && t <= frames; t++) {
    context.fillRect(GUTTER + t * layout.cell - 1, group.top, 1, low - group.top);
  }
  for (let j = 1; layout.gap.y && j <= group.size; j++) {
    context.fillRect(GUTTER, group.top + j * layout.row - 1, right - GUTTER, 1);
  }
  context.fillStyle = QUIET;
  context.textAlign = "right";
  const step = [4, 8, 16, 32, 64, 128, 256, 512].find((n) => n * layout.row >= 20) ?? 1024;
  for (let j = step; j <= group.size; j += step) {
    context.fillText(String(j), GUTTER - 6, group.top + (j - 0.5) * layout.row + 4);
  }
  context.textAlign = "left";
}

// Weights fetched in each frame, below what a dense network fetches.
function drawBars(context, layout, model, trace, first, last, colour) {
  const dense = fetchesOf(model, model.layers.map(columnsOf));
  const top = layout.bars + 4;
  const low = layout.bars + BARS;
  context.fillStyle = DENSE;
  const title = `weights fetched \u2013 dashed: dense, ${dense.toLocaleString("en")} in every frame`;
  context.fillText(title, GUTTER, layout.bars - 6);
  context.fillStyle = colour;
  for (let t = first; t < last; t++) {
    const high = (fetchesOf(model, eventsAt(model, trace, t)) / dense) * (low - top);
    context.fillRect(layout.x(t), low - high, layout.cell - Math.max(1, layout.cell / 6), high);
  }
  context.strokeStyle = DENSE;
  context.setLineDash([5, 4]);
  context.beginPath();
  context.moveTo(GUTTER, top + 0.5);
  context.lineTo(GUTTER + (last - first) * layout.cell, top + 0.5);
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = QUIET;
  context.textAlign = "center";
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((n) => n * layout.cell >= 34) ?? 1000;
  for (let n = Math.ceil((first + 1) / step) * step; n <= last; n += step) {
    context.fillText(String(n), Math.min(layout.wide - 12, layout.x(n - 1) + layout.cell / 2), low + 14);
  }
  context.textAlign = "left";
}

// The raster with its present: frames up to it lit, later ones pale. `pages` are two canvases that drawRaster made.
function showPresent(canvas, layout, pages, t) {
  const context = prepared(canvas, layout.wide, layout.high);
  const ratio = canvas.width / layout.wide;
  const edge = Math.round((layout.x(t) + layout.cell) * ratio) / ratio; // between two pixels of the screen
  context.drawImage(pages.later, edge * ratio, 0, canvas.width - edge * ratio, canvas.height,
    edge, 0, layout.wide - edge, layout.high);
  context.drawImage(pages.lit, 0, 0, edge * ratio, canvas.height, 0, 0, edge, layout.high);
  context.strokeStyle = DENSE;
  context.lineWidth = 1.5;
  const top = layout.groups[0].top - 2;
  context.strokeRect(layout.x(t) - 1, top, layout.cell + 1, layout.bars + BARS - top + 1);
}

// Results that are numbers over the frames, dashed what is wanted of them, and the present frame t.
function drawNumbers(canvas, results, wanted, t, size, wide) {
  const high = 130;
  const context = prepared(canvas, wide, high);
  const length = results.length / size;
  const goals = wanted === null ? [] : wanted.map((numbers) => [numbers].flat());
  const every = [...results, ...goals.flat()];
  const [low, top] = every.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [0, 0]);
  const x = (frame) => 4 + (frame / Math.max(1, length - 1)) * (wide - 8);
  const y = (value) => high - 6 - ((value - low) / (top - low || 1)) * (high - 12);
  context.fillStyle = STILL;
  context.fillRect(0, y(0), wide, 1);
  context.fillRect(x(t) - 1, 0, 2, high);
  const line = (values, colour, dashes) => {
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.setLineDash(dashes);
    context.beginPath();
    values.forEach((value, frame) => context.lineTo(x(frame), y(value)));
    context.stroke();
  };
  const frames = [...Array(length).keys()];
  for (let n = 0; n < size; n++) line(frames.map((frame) => results[frame * size + n]), lineColour(n), []);
  for (let n = 0; n < (goals[0]?.length ?? 0); n++) {
    line(goals.map((numbers) => numbers[n]), size > 1 ? lineColour(n) : DENSE, [4, 3]);
  }
  context.setLineDash([]);
  context.fillStyle = QUIET;
  context.fillText(top.toPrecision(3), 4, 12);
  context.fillText(low.toPrecision(3), 4, high - 2);
}

// The colour of result n's curve and name.
const lineColour = (n) => SLOTS[n % SLOTS.length];

// What a slot's rows are, by the kind of its layer; sim/timeline.py tells the last two rows by the event's vector.
const SLOT_ROWS = {
  gru: ["r", "u", "c of x", "c of h"],
  lstm: ["i", "f", "g and o of x", "g and o of h"],
  linear: [null, null, "read-out", null],
};
const SLOTS = ["#4477aa", "#66ccee", "#228833", "#ccbb44"];
const IDLE_SLOT = "#ee6677";
const NAMES = 148; // pixels of the names of the engine's parts
const LINE = 20; // pixels of a line of the timeline

// What each part of the engine does around frame t. `record` is what deltarnn/report/engine.py writes.
function drawTimeline(canvas, record, t, wide) {
  const rows = Object.entries(record.rows);
  const high = rows.length * LINE + 24;
  const context = prepared(canvas, wide, high);
  const begin = t ? record.finishes[t - 1] + 1 : 0;
  const end = record.finishes[t] + 1;
  const margin = Math.max(12, Math.round((end - begin) / 8));
  const [from, to] = [begin - margin, end + margin];
  const x = (cycle) => NAMES + ((cycle - from) / (to - from)) * (wide - NAMES - 4);
  rows.forEach(([name, runs], n) => {
    context.globalAlpha = 1;
    context.fillStyle = DENSE;
    context.textAlign = "right";
    context.fillText(name, NAMES - 8, n * LINE + 14);
    for (const [first, length, value] of runs) {
      const [a, b] = [Math.max(from, first), Math.min(to, first + length)];
      if (a >= b) continue;
      const slot = (value - 1) % 8;
      context.fillStyle = name === "slots" ? (slot >= 4 ? IDLE_SLOT : SLOTS[slot]) : DENSE;
      context.fillRect(x(a), n * LINE + 4, x(b) - x(a), LINE - 8);
    }
  });
  context.globalAlpha = 0.7; // what belongs to the frames around
  context.fillStyle = "#fff";
  if (begin > 0) context.fillRect(NAMES, 0, x(begin) - NAMES, rows.length * LINE);
  context.fillRect(x(end), 0, wide - x(end), rows.length * LINE);
  context.globalAlpha = 1;
  context.strokeStyle = QUIET;
  context.setLineDash([2, 3]);
  for (const cycle of [begin, end]) {
    context.beginPath();
    context.moveTo(x(cycle), 0);
    context.lineTo(x(cycle), rows.length * LINE + 4);
    context.stroke();
  }
  context.setLineDash([]);
  context.fillStyle = QUIET;
  context.textAlign = "center";
  const step = [5, 10, 20, 50, 100, 200, 500, 1000].find((n) => ((wide - NAMES) * n) / (to - from) >= 56) ?? 5000;
  for (let cycle = 0; cycle <= end - begin; cycle += step) context.fillText(String(cycle), x(begin + cycle), high - 6);
  context.textAlign = "left";
}

// Rectangles [x, y, width, height], in shares of the whole, that are as large as their sizes and nearly square
// (Bruls, Huizing and van Wijk, 2000): rows are filled along the shorter side as long as that makes them squarer.
function treemap(sizes, x, y, wide, high) {
  if (sizes.length === 0) return [];
  const total = totalOf(sizes);
  const side = Math.min(wide, high);
  const worst = (n) => {
    const strip = (totalOf(sizes.slice(0, n)) / total) * Math.max(wide, high);
    return Math.max(...sizes.slice(0, n).map((size) => {
      const along = (size / totalOf(sizes.slice(0, n))) * side;
      return Math.max(strip / along, along / strip);
    }));
  };
  let n = 1;
  while (n < sizes.length && worst(n + 1) <= worst(n)) n++;
  const sum = totalOf(sizes.slice(0, n));
  const share = sum / total;
  let at = 0;
  const strip = sizes.slice(0, n).map((size) => {
    const begin = at;
    at += size / sum;
    return wide >= high
      ? [x, y + begin * high, wide * share, (high * size) / sum]
      : [x + begin * wide, y, (wide * size) / sum, high * share];
  });
  const rest = sizes.slice(n);
  const others = wide >= high
    ? treemap(rest, x + wide * share, y, wide * (1 - share), high)
    : treemap(rest, x, y + high * share, wide, high * (1 - share));
  return [...strip, ...others];
}
