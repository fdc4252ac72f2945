"use strict";
// The integer model of a delta network, as docs/numerics.md has it and golden/ in NumPy: every event, state and result
// is the same. Vectors are in LSBs. A model is what deltarnn/report/data.py writes; `decoded` makes it ready.

// Two arithmetics. A Number holds every integer up to 2^53, and is fast; formats that need more bits get BigInts. The
// operators + - * mean the same for both. `rshift` rounds half up, towards +infinity, and shifts left where n <= 0.
const POWERS = Float64Array.from({ length: 257 }, (_, n) => 2 ** (n - 128)); // far faster than ** itself
const power = (n) => POWERS[n + 128];
const NUMBERS = {
  of: Number,
  array: Float64Array,
  rshift: (v, n) => (n > 0 ? Math.floor((v + power(n - 1)) * power(-n)) : v * power(-n)),
};
const BIGINTS = {
  of: BigInt,
  array: BigInt64Array,
  rshift: (v, n) => (n > 0 ? (v + (1n << BigInt(n - 1))) >> BigInt(n) : v << BigInt(-n)),
};
const NUMBER_BITS = 53; // sign included: a value and the half that rounds it then stay within 2^53

const width = ([m, f]) => 1 + m + f;

// The most bits, sign included, that any step needs before it rounds (golden/formats.py has the same bounds).
function widest(formats, accumulatorWidth) {
  const { activation, state, gate, readout, cell } = formats;
  const above = (q) => Math.max(q[0], gate[0]) + Math.max(q[1], gate[1]);
  return Math.max(
    width(readout) + width(gate) + 1,
    above(state) + 2 + width(gate) + 1,
    above(cell) + width(gate) + 2,
    accumulatorWidth + Math.max(0, readout[1] - activation[1]),
  );
}

function arithmeticOf(model) {
  return widest(model.formats, model.accumulatorWidth) <= NUMBER_BITS ? NUMBERS : BIGINTS;
}

// The ends of a format's range, in an arithmetic.
function range([m, f], arithmetic) {
  return { min: arithmetic.of(-(2 ** (m + f))), max: arithmetic.of(2 ** (m + f) - 1) };
}

function sat(v, { min, max }) {
  return v < min ? min : v > max ? max : v;
}

// What the steps below share: shifts, ranges and tables of a network.
class Constants {
  constructor(model) {
    const arithmetic = arithmeticOf(model);
    const frac = Object.fromEntries(Object.entries(model.formats).map(([name, [, f]]) => [name, f]));
    const { of } = arithmetic;
    this.arithmetic = arithmetic;
    this.frac = frac;
    for (const name of Object.keys(model.formats)) this[name] = range(model.formats[name], arithmetic);
    this.sigmoid = arithmetic.array.from(model.sigmoid, of);
    this.tanh = arithmetic.array.from(model.tanh, of);
    this.lowest = -(2 ** (width(model.formats.preactivation) - 1)); // what entry 0 of a table stands for
    this.indexShift = frac.readout - frac.preactivation;
    this.candidateShift = frac.readout + frac.gate - frac.preactivation;
    this.blendFrac = Math.max(frac.gate, frac.state);
    this.cellFrac = Math.max(frac.gate, frac.cell);
    // Factors 2^n, which shift left.
    this.gateOne = of(2 ** frac.gate);
    this.candidateScale = of(2 ** (this.blendFrac - frac.gate));
    this.stateScale = of(2 ** (this.blendFrac - frac.state));
    this.keptScale = of(2 ** (this.cellFrac - frac.cell));
    this.newScale = of(2 ** (this.cellFrac - frac.gate));
  }

  // table[sat(rshift(v, n), preactivation)]
  lookup(table, v, n) {
    return table[Number(sat(this.arithmetic.rshift(v, n), this.preactivation)) - this.lowest];
  }

  // R(M) = sat(rshift(M, n), readout)
  readOut(m, n) {
    return sat(this.arithmetic.rshift(this.arithmetic.of(m), n), this.readout);
  }
}

// A vector's memory v^. An element fires where it is more than theta away from what was last sent of it.
class Encoder {
  constructor(size) {
    this.memory = new Int32Array(size);
    this.deltas = new Int32Array(size); // of the last frame, 0 where nothing fired
  }

  encode(v, theta) {
    for (let j = 0; j < this.memory.length; j++) {
      const delta = v[j] - this.memory[j];
      const fires = Math.abs(delta) > theta;
      this.deltas[j] = fires ? delta : 0;
      if (fires) this.memory[j] = v[j];
    }
    return this.deltas;
  }
}

// M += W[:, j] d for each column j that fired. Rows from `from` on go into the accumulators `shift` further on.
function accumulate(m, weights, deltas, rows, from, shift) {
  for (let j = 0; j < deltas.length; j++) {
    const d = deltas[j];
    if (d === 0) continue;
    const column = j * rows;
    for (let i = 0; i < from; i++) m[i] += weights[column + i] * d;
    for (let i = from; i < rows; i++) m[i + shift] += weights[column + i] * d;
  }
}

// r, u, c, and h_t = c + u (h_(t-1) - c), rounded once.
function updateGru(layer, constants) {
  const { units, m, state, a, shifts } = layer;
  const { arithmetic, frac } = constants;
  const updateShift = constants.blendFrac + frac.gate - frac.state;
  for (let i = 0; i < units; i++) {
    const readOut = (k) => constants.readOut(m[k * units + i], shifts[k * units + i]);
    const r = constants.lookup(constants.sigmoid, readOut(0), constants.indexShift);
    const u = constants.lookup(constants.sigmoid, readOut(1), constants.indexShift);
    const candidate = readOut(2) * constants.gateOne + r * readOut(3);
    const c = constants.lookup(constants.tanh, candidate, constants.candidateShift) * constants.candidateScale;
    const h = state[i] * constants.stateScale;
    state[i] = sat(arithmetic.rshift(c * constants.gateOne + u * (h - c), updateShift), constants.state);
    a[i] = Number(sat(arithmetic.rshift(state[i], frac.state - frac.activation), constants.activation));
  }
}

// i, f, g, o; c_t = f c_(t-1) + i g, rounded once; a_t = o tanh(c_t), rounded once.
function updateLstm(layer, constants) {
  const { units, m, state, a, shifts } = layer;
  const { arithmetic, frac } = constants;
  const cellShift = constants.cellFrac + frac.gate - frac.cell;
  for (let n = 0; n < units; n++) {
    const gate = (k, table) =>
      constants.lookup(table, constants.readOut(m[k * units + n], shifts[k * units + n]), constants.indexShift);
    const i = gate(0, constants.sigmoid);
    const f = gate(1, constants.sigmoid);
    const g = gate(2, constants.tanh);
    const o = gate(3, constants.sigmoid);
    const sum = f * state[n] * constants.keptScale + i * g * constants.newScale;
    state[n] = sat(arithmetic.rshift(sum, cellShift), constants.cell);
    const y = constants.lookup(constants.tanh, state[n], frac.cell - frac.preactivation);
    a[n] = Number(sat(arithmetic.rshift(o * y, 2 * frac.gate - frac.activation), constants.activation));
  }
}

const UPDATES = { gru: updateGru, lstm: updateLstm };

// A GRU or an LSTM: events, accumulation, update. `layer` is one of the model's, thresholds [x, h] are its own.
class RecurrentLayer {
  constructor(layer, constants) {
    const { inputs, units } = layer;
    Object.assign(this, { layer, constants, inputs, units });
    this.x = new Encoder(inputs);
    this.h = new Encoder(units);
    this.m = Float64Array.from(layer.bias); // at most 40 bits: Numbers will always do
    this.state = new constants.arithmetic.array(units);
    this.a = new Int32Array(units);
    const { activation, readout } = constants.frac;
    this.shifts = layer.shift.map((s) => activation + layer.weightFrac + s - readout);
  }

  step(x, [thetaX, thetaH]) {
    const { layer, units } = this;
    const rows = layer.gates * units;
    // Where the last gate has an accumulator for each vector, h's row of it goes into the one behind.
    const whole = layer.splits ? rows - units : rows;
    accumulate(this.m, layer.weightX, this.x.encode(x, thetaX), rows, rows, 0);
    accumulate(this.m, layer.weightH, this.h.encode(this.a, thetaH), rows, whole, units);
    UPDATES[layer.kind](this, this.constants);
    return this.a;
  }
}

// The read-out: its results are M as they stand.
class LinearLayer {
  constructor(layer) {
    Object.assign(this, { layer, inputs: layer.inputs, units: layer.units });
    this.x = new Encoder(layer.inputs);
    this.m = Float64Array.from(layer.bias);
  }

  step(x, [thetaX]) {
    accumulate(this.m, this.layer.weightX, this.x.encode(x, thetaX), this.units, this.units, 0);
    return this.m;
  }
}

// A recording from reset: `frames` [T I] in a row, `thresholds` a pair [x, h] for each layer. Returns
//   outputs   [T O]
//   states    of each recurrent layer [T H]
//   deltasX   of each layer [T I], 0 where nothing fired
//   deltasH   of each layer [T H], empty for a read-out
function runNetwork(model, frames, thresholds) {
  const constants = new Constants(model);
  const layers = model.layers.map((layer) => new (layer.state ? RecurrentLayer : LinearLayer)(layer, constants));
  const inputs = layers[0].inputs;
  const length = frames.length / inputs;
  const recurrent = layers.filter((layer) => layer.h);
  const trace = {
    length,
    outputs: new Float64Array(length * layers.at(-1).units),
    states: recurrent.map((layer) => new constants.arithmetic.array(length * layer.units)),
    deltasX: layers.map((layer) => new Int32Array(length * layer.inputs)),
    deltasH: layers.map((layer) => new Int32Array(layer.h ? length * layer.units : 0)),
  };
  for (let t = 0; t < length; t++) {
    let x = frames.subarray(t * inputs, (t + 1) * inputs);
    layers.forEach((layer, k) => {
      x = layer.step(x, thresholds[k]);
      trace.deltasX[k].set(layer.x.deltas, t * layer.inputs);
      if (layer.h) trace.deltasH[k].set(layer.h.deltas, t * layer.units);
    });
    recurrent.forEach((layer, k) => trace.states[k].set(layer.state, t * layer.units));
    trace.outputs.set(x, t * x.length);
  }
  return trace;
}

// The file's own thresholds, as `runNetwork` takes them.
function ownThresholds(model) {
  return model.layers.map((layer) => [layer.thetaX, layer.thetaH ?? 0]);
}

// What the page holds as text, as typed arrays. Weights are turned so that a column's lie beside each other.
function decoded(model) {
  return {
    ...model,
    sigmoid: integers(model.sigmoid, Int32Array),
    tanh: integers(model.tanh, Int32Array),
    layers: model.layers.map((layer) => ({
      ...layer,
      weightX: turned(integers(layer.weightX, Int8Array), layer.inputs),
      weightH: layer.weightH === null ? null : turned(integers(layer.weightH, Int8Array), layer.units),
      bias: integers(layer.bias, Int32Array),
      shift: integers(layer.shift, Int8Array),
    })),
  };
}

// A typed array from base64 of its little-endian bytes.
function integers(text, Kind) {
  return new Kind(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

function turned(weights, columns) {
  const rows = weights.length / columns;
  return weights.map((_, n) => weights[(n % rows) * columns + Math.floor(n / rows)]);
}
