// What programs are made of. Each operation takes tensors, the type and shape of its result, and
// its settings; numbers are rounded to float32 where they are stored, sums are not while they add.

function stepsOf(shape) {
  const steps = new Array(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    steps[axis] = step;
    step *= shape[axis];
  }
  return steps;
}

// Axes that can be walked as one, since on either side one begins where the other ends, are one.
function merged(shape, fromSteps, toSteps) {
  const axes = [];
  shape.forEach((size, axis) => {
    if (size === 1) return;
    const before = axes[axes.length - 1];
    const [from, to] = [fromSteps[axis], toSteps[axis]];
    if (before && before.from === size * from && before.to === size * to) {
      Object.assign(before, { size: before.size * size, from, to });
    } else axes.push({ size, from, to });
  });
  return ["size", "from", "to"].map((name) => axes.map((each) => each[name]));
}

// Copy a block of a shape, with steps of its own on either side.
function copyBlock(wholeShape, from, wholeFromSteps, fromBegin, to, wholeToSteps, toBegin) {
  const [shape, fromSteps, toSteps] = merged(wholeShape, wholeFromSteps, wholeToSteps);
  const last = shape.length - 1;
  if (product(wholeShape) === 0) return;
  if (last < 0) {
    to[toBegin] = from[fromBegin];
    return;
  }
  const count = shape[last], step = fromSteps[last], stride = toSteps[last];
  const index = new Array(last).fill(0);
  let read = fromBegin, write = toBegin;
  for (;;) {
    if (step === 1 && stride === 1) to.set(from.subarray(read, read + count), write);
    else for (let i = 0; i < count; i++) to[write + i * stride] = from[read + i * step];
    let axis = last - 1;
    for (; axis >= 0; axis--) {
      read += fromSteps[axis];
      write += toSteps[axis];
      if (++index[axis] < shape[axis]) break;
      read -= fromSteps[axis] * shape[axis];
      write -= toSteps[axis] * shape[axis];
      index[axis] = 0;
    }
    if (axis < 0) return;
  }
}

function viewed(input, like, steps, begin = 0) {
  const out = tensor(like.type, like.shape);
  copyBlock(like.shape, input.data, steps, begin, out.data, stepsOf(like.shape), 0);
  return out;
}

function permuted(input, axes) {
  if (axes.every((axis, place) => axis === place)) return input;
  const steps = stepsOf(input.shape);
  const shape = axes.map((axis) => input.shape[axis]);
  return viewed(input, { type: input.type, shape }, axes.map((axis) => steps[axis]));
}

const whole = (type) => type !== "float32";
const stride = (input) => (input.data.length === 1 ? 0 : 1); // one number meets many

// An input as large as the result, or one number; axes of size 1 are repeated.
function fitted(input, like) {
  if (input.data.length === 1 || input.data.length === product(like.shape)) return input;
  const steps = stepsOf(input.shape).map((step, axis) => (input.shape[axis] === 1 ? 0 : step));
  return viewed(input, { type: input.type, shape: like.shape }, steps);
}

function each(compute) {
  return (inputs, like) => {
    const { data } = tensor(like.type, like.shape);
    const [a, b] = [inputs[0], inputs[inputs.length - 1]].map((input) => fitted(input, like));
    const [x, y, nx, ny] = [a.data, b.data, stride(a), stride(b)];
    for (let i = 0; i < data.length; i++) data[i] = compute(x[i * nx], y[i * ny]);
    return tensor(like.type, like.shape, data);
  };
}

// Products of whole numbers wrap round as they do in 32 bits.
function multipliedEach(inputs, like) {
  return each(whole(like.type) ? Math.imul : (x, y) => x * y)(inputs, like);
}

function divided(inputs, like) {
  return each(whole(like.type) ? (x, y) => Math.trunc(x / y) : (x, y) => x / y)(inputs, like);
}

function negated(inputs, like) {
  return each(like.type === "bool" ? (x) => (x ? 0 : 1) : (x) => ~x)(inputs, like);
}

function selected(inputs, like) {
  const out = tensor(like.type, like.shape);
  const [which, ...cases] = inputs.map((input) => fitted(input, like));
  const n = stride(which);
  for (let i = 0; i < out.data.length; i++) {
    const chosen = cases[which.data[i * n]];
    out.data[i] = chosen.data[i * stride(chosen)];
  }
  return out;
}

function converted([input], like) {
  const out = tensor(like.type, like.shape);
  if (like.type === "bool") for (let i = 0; i < out.data.length; i++) out.data[i] = input.data[i] !== 0;
  else out.data.set(input.data);
  return out;
}

function broadcast([input], like, { axes }) {
  const own = stepsOf(input.shape);
  const steps = like.shape.map(() => 0);
  axes.forEach((axis, place) => { steps[axis] = input.shape[place] === 1 ? 0 : own[place]; });
  return viewed(input, like, steps);
}

function sliced([input], like, { start, step }) {
  const own = stepsOf(input.shape);
  const begin = start.reduce((sum, at, axis) => sum + at * own[axis], 0);
  return viewed(input, like, own.map((size, axis) => size * step[axis]), begin);
}

function joined(inputs, like, { axis }) {
  const out = tensor(like.type, like.shape);
  const outer = product(like.shape.slice(0, axis));
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const { data } of inputs) {
      const chunk = data.length / outer;
      out.data.set(data.subarray(o * chunk, (o + 1) * chunk), to);
      to += chunk;
    }
  }
  return out;
}

function padded([input, filling], like, { low }) {
  const out = tensor(like.type, like.shape);
  out.data.fill(filling.data[0]);
  const steps = stepsOf(like.shape);
  const begin = low.reduce((sum, margin, axis) => sum + margin * steps[axis], 0);
  copyBlock(input.shape, input.data, stepsOf(input.shape), 0, out.data, steps, begin);
  return out;
}

function counted(_, like, { axis }) {
  const out = tensor(like.type, like.shape);
  const inner = product(like.shape.slice(axis + 1));
  for (let i = 0; i < out.data.length; i++) out.data[i] = Math.floor(i / inner) % like.shape[axis];
  return out;
}

function reduced(fold) {
  return ([input], like, { axes }) => {
    const kept = input.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
    const { data } = permuted(input, [...kept, ...axes]);
    const count = product(axes.map((axis) => input.shape[axis]));
    const out = tensor(like.type, like.shape);
    for (let i = 0; i < out.data.length; i++) out.data[i] = fold(data, i * count, count);
    return out;
  };
}

const folding = (combine) => (data, begin, count) => {
  let result = data[begin];
  for (let i = 1; i < count; i++) result = combine(result, data[begin + i]);
  return result;
};

function placeOfLargest(data, begin, count) {
  let best = 0;
  for (let i = 1; i < count; i++) if (data[begin + i] > data[begin + best]) best = i;
  return best;
}

// Matrix products over chosen axes. Weights that are 0 cost nothing, of which organisms have many.
function multiplied([a, b], like, { over, batch }) {
  const free = (input, side) =>
    input.shape.map((_, axis) => axis)
      .filter((axis) => !over[side].includes(axis) && !batch[side].includes(axis));
  const left = permuted(a, [...batch[0], ...free(a, 0), ...over[0]]).data;
  const right = permuted(b, [...batch[1], ...over[1], ...free(b, 1)]).data;
  const size = (axes, input) => product(axes.map((axis) => input.shape[axis]));
  const [many, rows] = [size(batch[0], a), size(free(a, 0), a)];
  const [inner, cols] = [size(over[0], a), size(free(b, 1), b)];
  const out = tensor(like.type, like.shape);
  const sum = new Float64Array(cols);
  for (let row = 0; row < many * rows; row++) {
    const block = Math.floor(row / rows) * inner * cols;
    sum.fill(0);
    for (let k = 0; k < inner; k++) {
      const weight = left[row * inner + k];
      if (weight === 0) continue;
      const begin = block + k * cols;
      for (let col = 0; col < cols; col++) sum[col] += weight * right[begin + col];
    }
    out.data.set(sum, row * cols);
  }
  return out;
}

const OPERATIONS = {
  neg: each((x) => -x), sign: each(Math.sign), abs: each(Math.abs), floor: each(Math.floor),
  exp: each(Math.exp), log: each(Math.log), log1p: each(Math.log1p), expm1: each(Math.expm1),
  tanh: each(Math.tanh), logistic: each((x) => 1 / (1 + Math.exp(-x))), sqrt: each(Math.sqrt),
  rsqrt: each((x) => 1 / Math.sqrt(x)), square: each((x) => x * x),
  is_finite: each(Number.isFinite), not: negated,
  add: each((x, y) => x + y), sub: each((x, y) => x - y), mul: multipliedEach,
  div: divided, rem: each((x, y) => x % y), max: each(Math.max), min: each(Math.min),
  pow: each(Math.pow), and: each((x, y) => x & y), or: each((x, y) => x | y),
  xor: each((x, y) => x ^ y), eq: each((x, y) => x === y), ne: each((x, y) => x !== y),
  lt: each((x, y) => x < y), le: each((x, y) => x <= y), gt: each((x, y) => x > y),
  ge: each((x, y) => x >= y),
  integer_pow: (inputs, like, { power }) => each((x) => x ** power)(inputs, like),
  select_n: selected, convert_element_type: converted,
  reshape: ([input], like) => tensor(like.type, like.shape, input.data),
  name: ([input]) => input,
  transpose: ([input], _, { axes }) => permuted(input, axes),
  broadcast_in_dim: broadcast, slice: sliced, concatenate: joined, stack: joined, pad: padded,
  shift_left: each(shifted((x, y) => x << y)), shift_right_logical: each(shifted((x, y) => x >>> y)),
  shift_right_arithmetic: each((x, y) => x >> Math.min(y, 31)), population_count: each(bitsOf),
  gather: gathered, cumsum: summed, sort: sorted, while: repeatedWhile, scan: scanned,
  iota: counted, dot_general: multiplied, argmax: reduced(placeOfLargest),
  reduce_sum: reduced(folding((x, y) => x + y)), reduce_max: reduced(folding(Math.max)),
  reduce_min: reduced(folding(Math.min)), reduce_and: reduced(folding((x, y) => x & y)),
  reduce_or: reduced(folding((x, y) => x | y)),
};
