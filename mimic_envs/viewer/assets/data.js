// The data of a page: blobs of arrays, handed over by scripts, see mimic_envs/viewer/blob.py.

const MISSING = -32768;
const received = new Map();
const decoded = new Map();

window.mimicReplay = (name, text) => received.set(name, text);

// The blob of a name; its script is fetched where the page does not hold it.
function load(name) {
  if (!decoded.has(name)) {
    const found = fetched(name).then(unpacked);
    decoded.set(name, found);
    found.catch(() => decoded.delete(name)); // another try may succeed
  }
  return decoded.get(name);
}

// Forget what was decoded of all trials but these: they can be decoded again.
function keepOnly(names) {
  for (const name of decoded.keys()) if (!names.includes(name)) decoded.delete(name);
}

function fetched(name) {
  if (received.has(name)) return Promise.resolve(received.get(name));
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = `${name}.js`;
    script.onload = () => resolve(received.get(name));
    script.onerror = () => reject(new Error(`${name}.js cannot be read`));
    document.head.append(script);
  });
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const start = 4 + new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, start - 4)));
  const arrays = {};
  for (const [name, entry] of Object.entries(head.arrays)) {
    arrays[name] = readArray(buffer, start + entry.start, entry);
  }
  return { ...head, arrays };
}

const ARRAYS = { f4: Float32Array, i2: Int16Array, u1: Uint8Array, u4: Uint32Array };

function readArray(buffer, start, entry) {
  const { type, shape } = entry;
  const count = shape.reduce((a, b) => a * b, 1);
  if (type !== "q2") return { shape, data: new ARRAYS[type](buffer, start, count) };
  const low = new Uint8Array(buffer, start, count);
  const high = new Uint8Array(buffer, start + count, count);
  const data = new Int16Array(count);
  const width = shape[0] ? count / shape[0] : 0;
  for (let i = 0; i < count; i++) {
    data[i] = (low[i] | (high[i] << 8)) + (i < width ? 0 : data[i - width]);
  }
  return { shape, data, scale: entry.scale, offset: entry.offset };
}

// A column of an array with two axes, as numbers; NaN where nothing is known.
function column(array, index) {
  const [rows, columns] = array.shape;
  const of = (x) => (Array.isArray(x) ? x[index] : x);
  const [scale, offset] = [of(array.scale), of(array.offset)];
  return Float64Array.from({ length: rows }, (_, t) => {
    const x = array.data[t * columns + index];
    return x === MISSING ? NaN : x * scale + offset;
  });
}

// Poses of all bodies at a time between frames, in the world.
class Poses {
  constructor(scene) {
    this.scene = scene;
    this.position = Float64Array.from(scene.arrays.body_position.data);
    this.rotation = Float64Array.from(scene.arrays.body_rotation.data);
  }

  // Fill in the poses of a trial; `frame` may lie between two, `prefix` is "ghost_" for the ghost.
  update(trial, frame, prefix = "") {
    const { arrays, frames } = trial;
    const [before, share] = around(frame, frames);
    const after = Math.min(before + 1, frames - 1);
    const [center, p, q] = ["center", "position", "rotation"].map((n) => arrays[prefix + n]);
    const mix = (data, i, width) =>
      data[before * width + i] * (1 - share) + data[after * width + i] * share;
    const middle = [0, 1, 2].map((k) => mix(center.data, k, 3));
    const { moving } = this.scene;
    const [width3, width4] = [3 * moving.length, 4 * moving.length];
    for (let i = 0; i < moving.length; i++) {
      const body = moving[i];
      for (let k = 0; k < 3; k++) {
        this.position[3 * body + k] = middle[k] + p.scale * mix(p.data, 3 * i + k, width3);
      }
      let square = 0;
      for (let k = 0; k < 4; k++) {
        const x = mix(q.data, 4 * i + k, width4);
        this.rotation[4 * body + k] = x;
        square += x * x;
      }
      for (let k = 0; k < 4; k++) this.rotation[4 * body + k] /= Math.sqrt(square);
    }
    return this;
  }

  at(body) {
    return [
      Array.from(this.position.subarray(3 * body, 3 * body + 3)),
      Array.from(this.rotation.subarray(4 * body, 4 * body + 4)),
    ];
  }
}

// The frame before a time in frames, and the share of the way to the next one.
function around(frame, frames) {
  const before = clamp(Math.floor(frame), 0, frames - 1);
  return [before, clamp(frame - before, 0, 1)];
}

// Points along the tendons at a frame: for each an array of points in the world.
function tendonPaths(trial, frame, prefix = "") {
  const array = trial.arrays[`${prefix}tendon`];
  if (!array) return [];
  const [t] = around(Math.round(frame), trial.frames);
  const [, tendons, points] = array.shape;
  const center = trial.arrays[`${prefix}center`].data.subarray(3 * t, 3 * t + 3);
  return Array.from({ length: tendons }, (_, i) =>
    Array.from({ length: points }, (_, j) => {
      const start = 3 * ((t * tendons + i) * points + j);
      return [0, 1, 2].map((k) => center[k] + array.scale * array.data[start + k]);
    }),
  );
}

// Points of contact at a frame, with the number of the foot that touches there or -1.
function contactPoints(trial, frame) {
  const { contact, contact_start: start, contact_foot: foot } = trial.arrays;
  const [t] = around(Math.round(frame), trial.frames);
  const found = [];
  for (let i = start.data[t]; i < start.data[t + 1]; i++) {
    found.push({ point: Array.from(contact.data.subarray(3 * i, 3 * i + 3)), foot: foot.data[i] });
  }
  return found;
}
