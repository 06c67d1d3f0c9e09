// Meshes of unit shapes. A corner is x, y, z and the sign of the end of a capsule that it belongs to.

// Rings of points about z, from [radius, z, normal radius, normal z, end] of each ring.
function lathe(rings, segments) {
  const corners = [], normals = [], triangles = [];
  for (const [radius, z, normalRadius, normalZ, end] of rings) {
    for (let i = 0; i <= segments; i++) {
      const angle = (2 * Math.PI * i) / segments;
      const [c, s] = [Math.cos(angle), Math.sin(angle)];
      corners.push(radius * c, radius * s, z, end);
      normals.push(normalRadius * c, normalRadius * s, normalZ);
    }
  }
  const width = segments + 1;
  for (let ring = 0; ring + 1 < rings.length; ring++) {
    for (let i = 0; i < segments; i++) {
      const a = ring * width + i;
      triangles.push(a, a + 1, a + width, a + 1, a + width + 1, a + width);
    }
  }
  return { corners, normals, triangles };
}

// Rings from the south pole to the north; with ends, the two halves can be drawn apart.
function ballRings(steps, ends) {
  const rings = [];
  for (let i = 0; i <= steps; i++) {
    const angle = Math.PI * (i / steps - 0.5);
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    const middle = ends && 2 * i === steps;
    const end = ends ? (2 * i <= steps ? -1 : 1) : 0;
    rings.push([c, s, c, s, end]);
    if (middle) rings.push([c, s, c, s, 1]);
  }
  return rings;
}

const ball = () => lathe(ballRings(12, false), 24);
const capsule = () => lathe(ballRings(12, true), 24);
const cylinder = () =>
  lathe([[0, -1, 0, -1, 0], [1, -1, 0, -1, 0], [1, -1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 0, 1, 0], [0, 1, 0, 1, 0]], 32);
const cone = () => lathe([[0, 0, 0, -1, 0], [1, 0, 0, -1, 0], [1, 0, 1, 0.5, 0], [0, 1, 1, 0.5, 0]], 20);

function box() {
  const corners = [], normals = [], triangles = [];
  for (let axis = 0; axis < 3; axis++) {
    for (const sign of [-1, 1]) {
      const start = corners.length / 4;
      for (const [a, b] of [[-1, -1], [1, -1], [1, 1], [-1, 1]]) {
        const corner = [0, 0, 0], normal = [0, 0, 0];
        corner[axis] = normal[axis] = sign;
        corner[(axis + 1) % 3] = a * sign;
        corner[(axis + 2) % 3] = b;
        corners.push(...corner, 0);
        normals.push(...normal);
      }
      triangles.push(start, start + 1, start + 2, start, start + 2, start + 3);
    }
  }
  return { corners, normals, triangles };
}

// A mesh or the surface of a height field of the scene.
function sceneMesh(scene, index) {
  const [vertex, normal, triangle] = ["vertex", "normal", "triangle"].map(
    (part) => scene.arrays[`mesh_${index}_${part}`].data,
  );
  const corners = new Float32Array((vertex.length / 3) * 4);
  for (let i = 0; i < vertex.length / 3; i++) corners.set(vertex.subarray(3 * i, 3 * i + 3), 4 * i);
  return { corners, normals: normal, triangles: triangle };
}
