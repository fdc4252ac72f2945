"use strict";
// What results mean and what they cost: golden/readings.py, deltarnn/evaluation/ and golden/parameters.py in short.

// Results of a trace in their unit, [T O] in a row.
function resultsOf(model, trace) {
  return trace.outputs.map((output) => output * model.resultScale);
}

// The first of the largest.
function argmax(values) {
  return values.reduce((best, value, n) => (value > values[best] ? n : best), 0);
}

function row(values, t, size) {
  return values.subarray(t * size, (t + 1) * size);
}

// Sums of results over the frames up to and including `last`.
function sums(results, last, size) {
  const total = new Float64Array(size);
  for (let t = 0; t <= last; t++) for (let n = 0; n < size; n++) total[n] += results[t * size + n];
  return total;
}

// What the answer is the largest of, after the frame `last`: of `sum` the sums so far, else the frame's results.
function scores(readout, results, last, size) {
  return readout === "sum" ? sums(results, last, size) : row(results, last, size);
}

// The answer after the frame `last`: a class, for `ctc` a string of classes, for `value` the frame's numbers.
function answerAt(readout, results, last, size) {
  if (readout === "ctc") return transcript(classes(results, last, size), size);
  if (readout === "value") return Array.from(row(results, last, size));
  return argmax(scores(readout, results, last, size));
}

// In each frame the class with the largest result.
function classes(results, last, size) {
  return Array.from({ length: last + 1 }, (_, t) => argmax(row(results, t, size)));
}

// Repeats once, blanks left out; the last class is the blank.
function transcript(best, size) {
  return best.filter((label, t) => label !== best[t - 1] && label !== size - 1);
}

// How far a recording's results are from what is wanted: [errors, of how many], squares where these are numbers.
function errorsOf(readout, results, wanted, size) {
  const last = results.length / size - 1;
  if (readout === "frame") {
    const found = classes(results, last, size);
    return [found.filter((label, t) => label !== wanted[t]).length, found.length];
  }
  if (readout === "ctc") return [editDistance(answerAt(readout, results, last, size), wanted), wanted.length];
  if (readout !== "value") return [Number(answerAt(readout, results, last, size) !== wanted), 1];
  let squares = 0;
  let count = 0;
  wanted.forEach((numbers, t) => {
    [numbers].flat().forEach((number, n) => {
      squares += (results[t * size + n] - number) ** 2;
      count += 1;
    });
  });
  return [squares, count];
}

// The fewest insertions, deletions and substitutions that make one of the other.
function editDistance(found, wanted) {
  let before = Array.from({ length: wanted.length + 1 }, (_, n) => n);
  found.forEach((label, n) => {
    const next = [n + 1];
    wanted.forEach((other, k) => {
      next.push(Math.min(before[k + 1] + 1, next[k] + 1, before[k] + (label !== other)));
    });
    before = next;
  });
  return before.at(-1);
}

// One number of many recordings' errors: a fraction, or the root of a mean square.
function errorOf(readout, pairs) {
  const [errors, count] = pairs.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
  return readout === "value" ? Math.sqrt(errors / count) : errors / Math.max(1, count);
}

// A layer's columns, and what an event of it costs at the least: weights, and cycles of so many lanes.
const columnsOf = (layer) => layer.inputs + (layer.state ? layer.units : 0);
const weightsOf = (layer) => layer.gates * layer.units;
const rowBlocksOf = (layer, lanes) => layer.gates * Math.ceil(layer.units / lanes);

// Sums over the layers of so many events of each.
const fetchesOf = (model, events) => model.layers.reduce((sum, layer, k) => sum + events[k] * weightsOf(layer), 0);
const cyclesOf = (model, events, lanes) =>
  model.layers.reduce((sum, layer, k) => sum + events[k] * rowBlocksOf(layer, lanes), 0);
const totalOf = (numbers) => numbers.reduce((a, b) => a + b, 0);

// Events of each layer in frame t.
function eventsAt(model, trace, t) {
  const count = (deltas, size) => row(deltas, t, size).reduce((n, delta) => n + (delta !== 0), 0);
  return model.layers.map((layer, k) =>
    count(trace.deltasX[k], layer.inputs) + (layer.state ? count(trace.deltasH[k], layer.units) : 0));
}

// What a recording comes to: frames, events of each layer, the answer, errors where something is wanted, and a sum of
// all results that a file made by Python can be held against.
function summaryOf(model, trace, wanted) {
  const size = model.layers.at(-1).units;
  const fired = (deltas) => deltas.reduce((n, delta) => n + (delta !== 0), 0);
  const results = resultsOf(model, trace);
  const judged = wanted !== null && model.readout !== null;
  return {
    frames: trace.length,
    events: model.layers.map((_, k) => fired(trace.deltasX[k]) + fired(trace.deltasH[k])),
    answer: model.readout === null ? null : answerAt(model.readout, results, trace.length - 1, size),
    errors: judged ? errorsOf(model.readout, results, wanted, size) : null,
    checksum: trace.outputs.reduce((sum, value, n) => (sum + modulo(value * (1 + (n % 1009)))) % 2 ** 32, 0),
  };
}

const modulo = (value) => ((value % 2 ** 32) + 2 ** 32) % 2 ** 32;

// The figures of several recordings together, a frame where they are costs.
function figuresOf(model, summaries, lanes) {
  const frames = totalOf(summaries.map((each) => each.frames));
  const events = model.layers.map((_, k) => totalOf(summaries.map((each) => each.events[k])));
  const dense = model.layers.map(columnsOf);
  const pairs = summaries.map((each) => each.errors);
  return {
    recordings: summaries.length,
    frames,
    events,
    columns: totalOf(events) / frames,
    columnsDense: totalOf(dense),
    fetches: fetchesOf(model, events) / frames,
    fetchesDense: fetchesOf(model, dense),
    cycles: cyclesOf(model, events, lanes) / frames,
    cyclesDense: cyclesOf(model, dense, lanes),
    error: pairs.includes(null) ? null : errorOf(model.readout, pairs),
    errors: pairs.includes(null) ? null : pairs.reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]),
    checksum: modulo(totalOf(summaries.map((each) => each.checksum))),
  };
}
