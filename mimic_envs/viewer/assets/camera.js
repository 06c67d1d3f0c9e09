// A camera that follows the animal, stands where one puts it, or is one of the model's.

class Camera {
  constructor(scene) {
    this.scene = scene;
    this.reset();
  }

  reset() {
    const { view } = this.scene;
    this.azimuth = view.azimuth;
    this.elevation = view.elevation;
    this.distance = 0.9 * view.distance;
    this.panned = [0, 0, 0];
    this.mode = "follow";
    this.start = null;
  }

  turn(azimuth, elevation) {
    this.azimuth += azimuth;
    this.elevation = clamp(this.elevation + elevation, -89, 89);
  }

  zoom(factor) {
    const { distance } = this.scene.view;
    this.distance = clamp(this.distance * factor, distance / 30, distance * 30);
  }

  // Shift what it looks at, in shares of the picture's height.
  pan(right, up) {
    const size = 2 * this.distance * Math.tan((this.fovy * Math.PI) / 360);
    const way = add(scaled(this.right, right * size), scaled(this.up, up * size));
    this.panned = add(this.panned, way);
  }

  // What it looks at: as MuJoCo's pictures of this package, at a height that does not bob.
  target(poses) {
    const { scene } = this;
    if (!scene.walks) {
      const { data } = scene.arrays.body_position;
      return Array.from(data.subarray(3 * scene.target, 3 * scene.target + 3));
    }
    const [[x, y]] = poses.at(scene.target);
    return [x, y, scene.floor + 0.25 * scene.length];
  }

  update(poses, aspect) {
    const { scene } = this;
    const own = scene.cameras[this.mode];
    if (own) {
      const [position, rotation] = poses.at(own.body);
      const q = product(rotation, own.rotation);
      this.eye = add(position, turned(rotation, own.position));
      this.ahead = turned(q, [0, 0, -1]);
      this.up = turned(q, [0, 1, 0]);
      this.fovy = own.fovy;
      this.look = add(this.eye, scaled(this.ahead, scene.length));
    } else {
      const [a, e] = [this.azimuth, this.elevation].map((x) => (x * Math.PI) / 180);
      this.ahead = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
      if (this.mode !== "free" || !this.start) this.start = this.target(poses);
      this.look = add(this.start, this.panned);
      const away = this.distance * Math.max(1, 1.25 / aspect); // the animal's length fits, too
      this.eye = subtract(this.look, scaled(this.ahead, away));
      this.up = [-Math.sin(e) * Math.cos(a), -Math.sin(e) * Math.sin(a), Math.cos(e)];
      this.fovy = scene.view.fovy;
    }
    const height = Math.abs(this.look[2] - scene.floor); // the shadow falls so far away
    this.shadowReach = Math.max(scene.length, Math.min(this.distance, 4 * scene.length)) + 0.5 * height;
    this.right = unit(cross(this.ahead, this.up));
    const slope = Math.tan((this.fovy * Math.PI) / 360);
    this.slopes = [slope * aspect, slope];
    const near = own ? 0.01 * scene.length : 0.02 * this.distance;
    const lens = perspective(this.fovy, aspect, near, 60 * Math.max(this.distance, scene.length));
    this.matrix = matrixProduct(lens, viewMatrix(this.eye, this.ahead, this.up));
  }
}

// Turn by dragging, shift with the right button, Shift or two fingers, zoom by wheel or two fingers.
function dragging(canvas, camera, changed) {
  const pointers = new Map();
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    const height = canvas.clientHeight;
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
      const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
      camera.zoom(apart(before) / apart(now));
      camera.pan(-dx / height / 2, dy / height / 2);
    } else if (event.shiftKey || event.ctrlKey || event.buttons & 6) {
      camera.pan(-dx / height, dy / height);
    } else {
      camera.turn((-180 * dx) / height, (-180 * dy) / height);
    }
    pointers.set(event.pointerId, now);
    changed();
  });
  canvas.addEventListener("wheel", (event) => {
    if (document.activeElement !== canvas) return; // so that one can scroll past it
    event.preventDefault();
    camera.zoom(Math.exp(0.001 * clamp(event.deltaY, -200, 200)));
    changed();
  }, { passive: false });
}
