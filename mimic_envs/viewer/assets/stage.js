// What the 3-D view shows of a trial at a time.

const KINDS = ["ball", "capsule", "cylinder", "box"];
const GHOST = [0.16, 0.5, 0.95, 0.42];
const FOOT = [0.98, 0.55, 0.1, 1], OTHER_CONTACT = [0.85, 0.2, 0.75, 1], FORCE = [0.15, 0.7, 0.35, 1];
const LOOKS = {
  light: { fog: [0.93, 0.95, 0.97], zenith: [0.7, 0.79, 0.88], dim: 1 },
  dark: { fog: [0.085, 0.1, 0.12], zenith: [0.04, 0.05, 0.07], dim: 0.42 },
};
const FORCE_LENGTH = 0.6; // of an arrow for one body weight, in body lengths

class Stage {
  constructor(canvas, scene) {
    this.canvas = canvas;
    this.scene = scene;
    this.renderer = new Renderer(canvas, scene);
    this.camera = new Camera(scene);
    this.animal = new Poses(scene);
    this.reference = new Poses(scene);
    this.shown = { ghost: true, contacts: true, forces: true, collision: false, shadows: true, planes: true, shapes: true };
    this.shapes = readShapes(scene);
    this.renderer.planes = this.shapes.filter((s) => s.kind === PLANE).map((s) => this.placed(s));
  }

  placed(plane) {
    const [position, rotation] = this.animal.at(plane.body);
    return {
      ...plane,
      position: add(position, turned(rotation, plane.position)),
      rotation: product(rotation, plane.rotation),
    };
  }

  draw(trial, frame, theme) {
    const { canvas, renderer, shown } = this;
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((x) => Math.max(1, Math.round(x * scale)));
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    this.animal.update(trial, frame);
    const hasGhost = Boolean(trial.arrays.ghost_position);
    if (hasGhost) this.reference.update(trial, frame, "ghost_");
    const follows = this.camera.mode === "reference" && hasGhost ? this.reference : this.animal;
    this.camera.update(follows, width / height);
    renderer.clear();
    const { solid, clear, ghost } = renderer.layers;
    if (shown.shapes) {
      this.addAnimal(this.animal, (rgba) => (rgba[3] < 1 ? clear : solid), (rgba) => rgba);
      this.addTendons(trial, frame);
    }
    if (shown.ghost && hasGhost) {
      this.addAnimal(this.reference, () => ghost, () => GHOST, true);
    }
    if (shown.contacts) this.addContacts(trial, frame);
    if (shown.forces) this.addForces(trial, frame);
    renderer.draw(this.camera, { ...LOOKS[theme], shadows: shown.shadows }, shown.planes);
  }

  addAnimal(poses, layerOf, colorOf, movingOnly = false) {
    const moves = new Set(this.scene.moving);
    for (const shape of this.shapes) {
      if (shape.kind === PLANE || (shape.collision && !this.shown.collision)) continue;
      if (movingOnly && !moves.has(shape.body)) continue;
      const [position, rotation] = poses.at(shape.body);
      layerOf(shape.rgba).add(
        shape.mesh, add(position, turned(rotation, shape.position)),
        product(rotation, shape.rotation), shape.size, colorOf(shape.rgba),
      );
    }
  }

  // Tendons as chains of capsules; those of muscles are bright when their muscle is active.
  addTendons(trial, frame) {
    tendonPaths(trial, frame).forEach((path, i) => {
      const { radius, rgba } = this.scene.tendons[i];
      const level = this.level(trial, frame, this.scene.tendons[i]);
      const light = level === null ? 1 : 0.35 + 0.75 * level;
      const color = [...rgba.slice(0, 3).map((x) => Math.min(1, x * light)), 1];
      for (let j = 0; j + 1 < path.length; j++) {
        this.addRod(this.renderer.layers.solid, path[j], path[j + 1], radius, color);
      }
    });
  }

  // Activation of a tendon's muscle at a frame from 0 to 1; null where it is not known.
  level(trial, frame, tendon) {
    const { activation } = trial.arrays;
    if (tendon.activation < 0 || !activation) return null;
    const [t] = around(Math.round(frame), trial.frames);
    const index = t * activation.shape[1] + tendon.activation;
    return clamp(activation.data[index] * activation.scale, 0, 1);
  }

  addRod(layer, start, end, radius, color) {
    const way = subtract(end, start);
    const size = length(way);
    if (size < 1e-12) return;
    const middle = scaled(add(start, end), 0.5);
    layer.add("capsule", middle, fromUp(scaled(way, 1 / size)), [radius, radius, radius, size / 2], color);
  }

  addContacts(trial, frame) {
    const radius = 0.014 * this.scene.length;
    for (const { point, foot } of contactPoints(trial, frame)) {
      const color = foot < 0 ? OTHER_CONTACT : FOOT;
      this.renderer.layers.marks.add("ball", point, [1, 0, 0, 0], [radius, radius, 0.6 * radius, 0], color);
    }
  }

  addForces(trial, frame) {
    const { force } = trial.arrays;
    if (!force) return;
    const [t] = around(Math.round(frame), trial.frames);
    const touching = contactPoints(trial, frame);
    const unitLength = FORCE_LENGTH * this.scene.length;
    const radius = 0.009 * this.scene.length;
    this.scene.feet.forEach((body, foot) => {
      const start = 3 * (t * force.shape[1] + foot);
      const vector = [0, 1, 2].map((k) => force.data[start + k] * force.scale);
      if (length(vector) < 0.02) return;
      const points = touching.filter((c) => c.foot === foot).map((c) => c.point);
      const from = points.length
        ? scaled(points.reduce(add), 1 / points.length)
        : this.animal.at(body)[0];
      const to = add(from, scaled(vector, unitLength));
      const { marks } = this.renderer.layers;
      this.addRod(marks, from, to, radius, FORCE);
      marks.add("cone", to, fromUp(unit(vector)), [2.6 * radius, 2.6 * radius, 5 * radius, 0], FORCE);
    });
  }
}

function readShapes(scene) {
  const a = scene.arrays;
  const rows = (name, width, i) => Array.from(a[name].data.subarray(width * i, width * (i + 1)));
  return Array.from(a.shape_kind.data, (kind, i) => ({
    kind,
    mesh: kind === MESH ? `mesh:${a.shape_mesh.data[i]}` : KINDS[kind],
    collision: a.shape_collision.data[i] === 1,
    body: a.shape_body.data[i],
    position: rows("shape_position", 3, i),
    rotation: rows("shape_rotation", 4, i),
    size: rows("shape_size", 4, i),
    rgba: rows("shape_rgba", 4, i),
    other: rows("shape_rgba_other", 4, i),
    tile: a.shape_tile.data[i],
  }));
}
