// Vectors are [x, y, z], quaternions [w, x, y, z], matrices 16 numbers in columns as WebGL has them.

const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const scaled = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
const length = (a) => Math.hypot(a[0], a[1], a[2]);
const unit = (a) => scaled(a, 1 / (length(a) || 1));
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

// A vector turned by a quaternion.
function turned(q, v) {
  const u = [q[1], q[2], q[3]];
  const t = scaled(cross(u, v), 2);
  return add(add(v, scaled(t, q[0])), cross(u, t));
}

const conjugate = (q) => [q[0], -q[1], -q[2], -q[3]];

// The rotation that does b first, then a.
function product(a, b) {
  return [
    a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3],
    a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2],
    a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1],
    a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0],
  ];
}

// The shortest rotation of the z axis to a direction of length 1.
function fromUp(direction) {
  if (direction[2] < -0.999999) return [0, 1, 0, 0];
  const q = [1 + direction[2], -direction[1], direction[0], 0];
  const size = Math.hypot(...q);
  return q.map((x) => x / size);
}

function matrixProduct(a, b) {
  const found = new Float32Array(16);
  for (let column = 0; column < 4; column++) {
    for (let row = 0; row < 4; row++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += a[4 * k + row] * b[4 * column + k];
      found[4 * column + row] = sum;
    }
  }
  return found;
}

// From the world to a camera at `eye` that looks along `ahead`.
function viewMatrix(eye, ahead, up) {
  const z = scaled(unit(ahead), -1);
  const x = unit(cross(up, z));
  const y = cross(z, x);
  return new Float32Array([
    x[0], y[0], z[0], 0,
    x[1], y[1], z[1], 0,
    x[2], y[2], z[2], 0,
    -dot(x, eye), -dot(y, eye), -dot(z, eye), 1,
  ]);
}

function perspective(fovyDegrees, aspect, near, far) {
  const f = 1 / Math.tan((fovyDegrees * Math.PI) / 360);
  return new Float32Array([
    f / aspect, 0, 0, 0,
    0, f, 0, 0,
    0, 0, (far + near) / (near - far), -1,
    0, 0, (2 * far * near) / (near - far), 0,
  ]);
}

// A box without perspective, `reach` to each side and `depth` ahead.
function orthographic(reach, depth) {
  return new Float32Array([
    1 / reach, 0, 0, 0,
    0, 1 / reach, 0, 0,
    0, 0, -2 / depth, 0,
    0, 0, -1, 1,
  ]);
}
