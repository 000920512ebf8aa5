// Arrays with a shape, and safetensors, the format in which weights are stored.

const ARRAYS = {
  bool: Uint8Array, uint8: Uint8Array, int8: Int32Array, int16: Int32Array, int32: Int32Array,
  uint32: Uint32Array, float32: Float32Array,
};
const STORED = {
  F32: ["float32", Float32Array], I32: ["int32", Int32Array], U32: ["uint32", Uint32Array], I16: ["int16", Int16Array],
  I8: ["int8", Int8Array], U8: ["uint8", Uint8Array], BOOL: ["bool", Uint8Array],
};

const product = (sizes) => sizes.reduce((a, b) => a * b, 1);

function tensor(type, shape, data) {
  return { type, shape, data: data ?? new ARRAYS[type](product(shape)) };
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// A file is the length of a header, the header in JSON, and the numbers of each array, row by row.
function readTensors(base64) {
  const bytes = bytesOf(base64);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const found = new Map();
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    const [type, Kind] = STORED[dtype];
    const own = new Kind(bytes.buffer.slice(8 + length + begin, 8 + length + end));
    found.set(name, tensor(type, shape, ARRAYS[type].from(own)));
  }
  return found;
}
