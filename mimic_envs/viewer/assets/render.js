// A renderer in plain WebGL2. All shapes of one mesh are drawn by one call.

const FLOATS = 15; // of each drawn shape: position, rotation, size, color
const SHADOW_PIXELS = 2048;
const SUN = unit([-1.5, -2, 6]);
const PLANE = 4, MESH = 5;

// A list of shapes of one mesh, refilled for every picture.
class Batch {
  constructor(gl, mesh) {
    this.gl = gl;
    this.values = new Float32Array(64 * FLOATS);
    this.used = 0;
    this.array = gl.createVertexArray();
    gl.bindVertexArray(this.array);
    this.attribute(0, new Float32Array(mesh.corners), 4);
    this.attribute(1, new Float32Array(mesh.normals), 3);
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, new Uint32Array(mesh.triangles), gl.STATIC_DRAW);
    this.corners = mesh.triangles.length;
    this.buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    let start = 0;
    [3, 4, 4, 4].forEach((size, i) => {
      gl.enableVertexAttribArray(2 + i);
      gl.vertexAttribPointer(2 + i, size, gl.FLOAT, false, 4 * FLOATS, start);
      gl.vertexAttribDivisor(2 + i, 1);
      start += 4 * size;
    });
    gl.bindVertexArray(null);
  }

  attribute(location, values, size) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(location);
    gl.vertexAttribPointer(location, size, gl.FLOAT, false, 0, 0);
  }

  add(position, rotation, size, rgba) {
    const start = FLOATS * this.used++;
    if (start + FLOATS > this.values.length) {
      const larger = new Float32Array(2 * this.values.length);
      larger.set(this.values);
      this.values = larger;
    }
    this.values.set(position, start);
    this.values.set(rotation, start + 3);
    this.values.set(size, start + 7);
    this.values.set(rgba, start + 11);
  }

  draw() {
    if (!this.used) return;
    const { gl } = this;
    gl.bindVertexArray(this.array);
    gl.drawElementsInstanced(gl.TRIANGLES, this.corners, gl.UNSIGNED_INT, 0, this.used);
  }

  upload() {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    gl.bufferData(gl.ARRAY_BUFFER, this.values.subarray(0, FLOATS * this.used), gl.DYNAMIC_DRAW);
  }
}

// Batches of one kind of picture: opaque shapes, the ghost, marks, ...
class Layer {
  constructor(renderer) {
    this.renderer = renderer;
    this.batches = new Map();
  }

  add(mesh, position, rotation, size, rgba) {
    if (!this.batches.has(mesh)) {
      this.batches.set(mesh, new Batch(this.renderer.gl, this.renderer.mesh(mesh)));
    }
    this.batches.get(mesh).add(position, rotation, size, rgba);
  }

  clear() {
    for (const batch of this.batches.values()) batch.used = 0;
  }

  upload() {
    for (const batch of this.batches.values()) batch.upload();
  }

  draw() {
    for (const batch of this.batches.values()) batch.draw();
  }
}

class Renderer {
  constructor(canvas, scene) {
    const gl = canvas.getContext("webgl2", { antialias: true });
    if (!gl) throw new Error("This browser does not draw in 3-D: it has no WebGL 2.");
    this.canvas = canvas;
    this.gl = gl;
    this.scene = scene;
    this.meshes = new Map();
    this.layers = {};
    for (const name of ["solid", "clear", "ghost", "marks"]) this.layers[name] = new Layer(this);
    this.programs = {
      shape: program(gl, SHAPE_VERTEX, SHAPE_FRAGMENT),
      plane: program(gl, PLANE_VERTEX, PLANE_FRAGMENT),
      sky: program(gl, SKY_VERTEX, SKY_FRAGMENT),
    };
    this.square = gl.createVertexArray();
    gl.bindVertexArray(this.square);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    gl.enableVertexAttribArray(0);
    gl.vertexAttribPointer(0, 2, gl.FLOAT, false, 0, 0);
    gl.bindVertexArray(null);
    this.makeShadowMap();
  }

  mesh(name) {
    const made = { ball, capsule, cylinder, cone, box };
    if (!this.meshes.has(name)) {
      const found = name in made ? made[name]() : sceneMesh(this.scene, Number(name.slice(5)));
      this.meshes.set(name, found);
    }
    return this.meshes.get(name);
  }

  makeShadowMap() {
    const { gl } = this;
    this.shadowMap = gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.shadowMap);
    gl.texStorage2D(gl.TEXTURE_2D, 1, gl.DEPTH_COMPONENT24, SHADOW_PIXELS, SHADOW_PIXELS);
    for (const [name, value] of [
      [gl.TEXTURE_MIN_FILTER, gl.LINEAR],
      [gl.TEXTURE_MAG_FILTER, gl.LINEAR],
      [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
      [gl.TEXTURE_COMPARE_MODE, gl.COMPARE_REF_TO_TEXTURE],
      [gl.TEXTURE_COMPARE_FUNC, gl.LEQUAL],
    ]) gl.texParameteri(gl.TEXTURE_2D, name, value);
    this.shadowBuffer = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.shadowBuffer);
    gl.framebufferTexture2D(
      gl.FRAMEBUFFER, gl.DEPTH_ATTACHMENT, gl.TEXTURE_2D, this.shadowMap, 0,
    );
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
  }

  clear() {
    for (const layer of Object.values(this.layers)) layer.clear();
  }

  // Draw what was added since `clear`. A look has colors `fog` and `zenith` and number `dim`.
  draw(camera, look, showPlanes = true) {
    const { gl, canvas, layers } = this;
    for (const layer of Object.values(layers)) layer.upload();
    const shadowMatrix = this.drawShadows(camera.look, camera.shadowReach, look.shadows);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.enable(gl.DEPTH_TEST);
    gl.depthFunc(gl.LEQUAL);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    this.drawSky(camera, look);
    const common = {
      camera: camera.matrix, eye: camera.eye, sun: SUN, fog: look.fog, dim: look.dim,
      fogDistance: 14 * camera.distance, shadowMatrix, shadowMap: 0,
      shadowTexel: 1 / SHADOW_PIXELS, shadows: look.shadows ? 1 : 0,
    };
    if (showPlanes) this.drawPlanes(camera, common);
    const shape = this.programs.shape;
    shape.use({ ...common, mode: 0 });
    layers.solid.draw();
    gl.enable(gl.BLEND);
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.depthMask(false);
    layers.clear.draw();
    gl.depthMask(true);
    gl.colorMask(false, false, false, false); // only the ghost's nearest surface is seen
    shape.use({ ...common, mode: 1 });
    layers.ghost.draw();
    gl.colorMask(true, true, true, true);
    shape.use({ ...common, mode: 2 });
    layers.ghost.draw();
    shape.use({ ...common, mode: 3 });
    layers.marks.draw();
    gl.disable(gl.BLEND);
  }

  drawShadows(look, reach, wanted) {
    const { gl } = this;
    const depth = 8 * reach;
    const eye = add(look, scaled(SUN, depth / 2));
    const view = viewMatrix(eye, scaled(SUN, -1), [0, 1, 0]);
    const matrix = matrixProduct(orthographic(reach, depth), view);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.shadowBuffer);
    gl.viewport(0, 0, SHADOW_PIXELS, SHADOW_PIXELS);
    gl.enable(gl.DEPTH_TEST);
    gl.clear(gl.DEPTH_BUFFER_BIT);
    gl.activeTexture(gl.TEXTURE1); // the map must not be read while it is drawn
    gl.bindTexture(gl.TEXTURE_2D, null);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, null);
    this.programs.shape.use({ camera: matrix, mode: 1, eye, shadowMap: 0 });
    if (wanted) this.layers.solid.draw();
    gl.bindFramebuffer(gl.FRAMEBUFFER, null);
    gl.bindTexture(gl.TEXTURE_2D, this.shadowMap);
    return matrix;
  }

  drawSky(camera, look) {
    const { gl } = this;
    const { ahead, right, up, slopes } = camera;
    this.programs.sky.use({ ahead, right, up, slopes, fog: look.fog, zenith: look.zenith });
    gl.depthMask(false);
    this.drawSquare();
    gl.depthMask(true);
  }

  drawSquare() {
    this.gl.bindVertexArray(this.square);
    this.gl.drawArrays(this.gl.TRIANGLE_STRIP, 0, 4);
  }

  drawPlanes(camera, common) {
    const { gl } = this;
    for (const plane of this.planes ?? []) {
      const [planeX, planeY, planeZ] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map((axis) =>
        turned(plane.rotation, axis),
      );
      const local = subtract(camera.look, plane.position);
      const below = dot(subtract(camera.eye, plane.position), planeZ) < 0;
      this.programs.plane.use({
        ...common, planePosition: plane.position, planeX, planeY, planeZ,
        middle: [dot(local, planeX), dot(local, planeY)],
        reach: [40 * camera.distance, 40 * camera.distance],
        halfSize: plane.size.slice(0, 2), first: plane.rgba.slice(0, 3),
        second: plane.other.slice(0, 3), tile: plane.tile, opacity: below ? 0.2 : 1,
      });
      if (below) gl.enable(gl.BLEND);
      gl.depthMask(!below); // from below one looks through the floor at the feet
      gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
      this.drawSquare();
      gl.depthMask(true);
      gl.disable(gl.BLEND);
    }
  }
}

// A compiled program; `use` sets its uniforms by name and leaves out those that it does not have.
function program(gl, vertex, fragment) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) {
      throw new Error(gl.getShaderInfoLog(shader));
    }
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  if (!gl.getProgramParameter(made, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(made));
  const setters = new Map();
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name, type } = gl.getActiveUniform(made, i);
    setters.set(name, setter(gl, type, gl.getUniformLocation(made, name)));
  }
  return {
    use(values) {
      gl.useProgram(made);
      for (const [name, value] of Object.entries(values)) setters.get(name)?.(value);
    },
  };
}

function setter(gl, type, place) {
  if (type === gl.FLOAT_MAT4) return (x) => gl.uniformMatrix4fv(place, false, x);
  if (type === gl.FLOAT_VEC3) return (x) => gl.uniform3fv(place, x);
  if (type === gl.FLOAT_VEC2) return (x) => gl.uniform2fv(place, x);
  if (type === gl.FLOAT) return (x) => gl.uniform1f(place, x);
  return (x) => gl.uniform1i(place, x);
}
