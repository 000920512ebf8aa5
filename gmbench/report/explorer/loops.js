// Operations that read at places, put in order, add up along the way, or repeat a program.

// The parts of an array that begin where the indices say, as far inside as they fit.
function gathered([input, indices], like, { offset, collapsed, map, batched, batches, sizes }) {
  const out = tensor(like.type, like.shape), steps = stepsOf(input.shape);
  const own = like.shape.map((_, axis) => axis);
  const outer = own.filter((axis) => !offset.includes(axis));
  const inner = input.shape.map((_, axis) => axis).filter((axis) => !collapsed.includes(axis) && !batched.includes(axis));
  const rows = stepsOf(indices.shape), width = indices.shape[indices.shape.length - 1];
  const toSteps = stepsOf(like.shape);
  for (let i = 0; i < out.data.length; i++) {
    const index = own.map((axis) => Math.floor(i / toSteps[axis]) % like.shape[axis]);
    const row = outer.reduce((sum, axis, place) => sum + index[axis] * rows[place], 0);
    let from = 0;
    for (let place = 0; place < width; place++) {
      const axis = map[place], most = input.shape[axis] - sizes[axis];
      from += Math.min(Math.max(indices.data[row + place], 0), most) * steps[axis];
    }
    inner.forEach((axis, place) => { from += index[offset[place]] * steps[axis]; });
    batched.forEach((axis, place) => { from += index[outer[batches[place]]] * steps[axis]; });
    out.data[i] = input.data[from];
  }
  return out;
}

function summed([input], like, { axis, reverse }) {
  const out = tensor(like.type, like.shape, input.data.slice());
  const step = stepsOf(like.shape)[axis], count = like.shape[axis];
  for (let i = 0; i < out.data.length; i++) {
    const at = reverse ? out.data.length - 1 - i : i, place = Math.floor(at / step) % count;
    if (reverse ? place < count - 1 : place > 0) out.data[at] += out.data[at + (reverse ? step : -step)];
  }
  return out;
}

// Arrays in the order of the first ones' numbers, along an axis; equal ones stay in order.
function sorted(inputs, likes, { axis, keys }) {
  const outs = likes.map((like) => tensor(like.type, like.shape));
  const { shape } = likes[0], step = stepsOf(shape)[axis], count = shape[axis];
  for (let begin = 0; begin < product(shape); begin++) {
    if (Math.floor(begin / step) % count !== 0) continue;
    const places = Array.from({ length: count }, (_, place) => begin + place * step);
    const order = places.slice().sort((a, b) => {
      const key = inputs.slice(0, keys).find(({ data }) => data[a] !== data[b]);
      return key ? key.data[a] - key.data[b] : a - b;
    });
    outs.forEach((out, n) => order.forEach((from, i) => { out.data[places[i]] = inputs[n].data[from]; }));
  }
  return outs;
}

function repeatedWhile(inputs, _, { cond_nconsts, body_nconsts, cond_jaxpr, body_jaxpr }) {
  const first = inputs.slice(0, cond_nconsts), second = inputs.slice(cond_nconsts, cond_nconsts + body_nconsts);
  let carry = inputs.slice(cond_nconsts + body_nconsts);
  while (called(cond_jaxpr, [...first, ...carry])[0].data[0]) carry = called(body_jaxpr, [...second, ...carry]);
  return carry;
}

// Once for each entry of the leading axis of what comes after what is carried along.
function scanned(inputs, likes, { num_consts, num_carry, length, reverse, jaxpr }) {
  const fixed = inputs.slice(0, num_consts), rows = inputs.slice(num_consts + num_carry);
  let carry = inputs.slice(num_consts, num_consts + num_carry);
  const outs = likes.slice(num_carry).map((like) => tensor(like.type, like.shape));
  const part = ({ type, shape, data }, n) => {
    const size = product(shape.slice(1));
    return tensor(type, shape.slice(1), data.subarray(n * size, (n + 1) * size));
  };
  for (let step = 0; step < length; step++) {
    const n = reverse ? length - 1 - step : step;
    const made = called(jaxpr, [...fixed, ...carry, ...rows.map((row) => part(row, n))]);
    carry = made.slice(0, num_carry);
    outs.forEach((out, place) => out.data.set(made[num_carry + place].data, n * product(out.shape.slice(1))));
  }
  return [...carry, ...outs];
}

const shifted = (bits) => (x, y) => (y > 31 ? 0 : bits(x, y));

function bitsOf(x) {
  let count = 0;
  for (let left = x >>> 0; left; left = (left & (left - 1)) >>> 0) count++;
  return count;
}
