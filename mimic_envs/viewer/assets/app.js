// The page: what its controls do, and what happens as time goes by.

const SPEEDS = [0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4];
const TOGGLES = {
  ghost: { key: "g", label: "Reference" },
  contacts: { key: "c", label: "Contacts" },
  forces: { key: "x", label: "Forces" },
  collision: { key: "v", label: "Collision shapes" },
};
const ROW = 18; // height of a foot's row, px, as in the style sheet

const $ = (id) => document.getElementById(id);
const config = JSON.parse($("config").textContent);
const dark = window.matchMedia("(prefers-color-scheme: dark)");

class App {
  constructor(scene) {
    this.scene = scene;
    this.frame = 0;
    this.playing = false;
    this.speed = 1;
    this.traces = [];
    this.stage = this.makeStage();
    this.makeControls();
    this.footfalls = new Plot("Footfalls", ROW, (plot, x) => this.seekShare(x / plot.width));
    this.points = new Plot("Layer of the network", 220, (plot, x, y) => this.seekPoint(x, y));
    this.points.mark.classList.add("dot");
    $("footfalls").append(this.footfalls.root);
    $("layers").append(this.points.root);
    new ResizeObserver(() => this.redraw()).observe($("view"));
    dark.addEventListener("change", () => this.redraw());
    document.addEventListener("keydown", (event) => this.pressed(event));
  }

  makeStage() {
    $("stage").setAttribute("aria-label", `3-D view of the ${this.scene.species || this.scene.body}`);
    try {
      const stage = new Stage($("stage"), this.scene);
      dragging($("stage"), stage.camera, () => this.ask());
      return stage;
    } catch (error) {
      complain(`${error.message} Plots and times work all the same.`);
      return null;
    }
  }

  makeControls() {
    const option = (value, text) => element("option", { value }, text);
    config.trials.forEach((name, i) => $("trial").append(option(i, name)));
    $("trials").hidden = config.trials.length < 2;
    for (const speed of SPEEDS) $("speed").append(option(speed, `${speed} ×`));
    for (const [mode, text] of [["follow", "follow"], ["reference", "follow reference"], ["free", "free"]]) {
      $("camera").append(option(mode, text));
    }
    this.scene.cameras.forEach(({ name }, i) => $("camera").append(option(i, name)));
    $("trial").addEventListener("change", () => this.show(Number($("trial").value)));
    $("speed").addEventListener("change", () => this.setSpeed(Number($("speed").value)));
    $("camera").addEventListener("change", () => this.setCamera($("camera").value));
    $("layer").addEventListener("change", () => this.drawLayer());
    $("play").addEventListener("click", () => this.play(!this.playing));
    $("reset").addEventListener("click", () => this.resetView());
    $("time").addEventListener("input", () => this.seek(Number($("time").value)));
    $("add").addEventListener("change", () => {
      this.addTrace(Number($("add").value));
      $("add").value = "";
    });
    for (const [name, { label, key }] of Object.entries(TOGGLES)) {
      const box = element("input", { type: "checkbox", id: `show-${name}`, "aria-keyshortcuts": key });
      box.checked = Boolean(this.stage?.shown[name]);
      box.addEventListener("change", () => this.toggle(name, box.checked));
      $("toggles").append(element("label", {}, box, label));
    }
  }

  // Show another trial.
  async show(number) {
    const name = `trial-${number}`;
    keepOnly(["scene", name]);
    const wanted = (this.wanted = number);
    const trial = await load(name);
    if (wanted !== this.wanted) return; // another one was chosen meanwhile
    this.number = number;
    this.trial = trial;
    $("trial").value = number;
    $("time").max = trial.frames - 1;
    const { arrays } = trial;
    const there = {
      ghost: arrays.ghost_position, contacts: arrays.contact?.shape[0], forces: arrays.force,
      collision: this.scene.arrays.shape_collision.data.includes(1),
    };
    for (const id of Object.keys(TOGGLES)) $(`show-${id}`).parentElement.hidden = !there[id];
    $("camera").options[1].disabled = !there.ghost;
    const failed = $("failed");
    failed.hidden = trial.failed === null;
    failed.title = "first failure";
    failed.style.left = `${(100 * (trial.failed ?? 0)) / Math.max(1, trial.frames - 1)}%`;
    const seconds = trial.frames / trial.fps;
    if (!this.hasSpeed) this.setSpeed(SPEEDS.filter((s) => s <= Math.min(1, seconds / 1.5)).at(-1) ?? 0.01);
    this.showLegend();
    this.showPanels();
    this.seek(0);
    say(`Trial ${trial.name}, ${seconds.toFixed(2)} seconds`);
  }

  showLegend() {
    const { arrays } = this.trial;
    const feet = arrays.contact_foot.data;
    const entries = [
      [arrays.ghost_position, "reference", "--ghost"],
      [feet.some((foot) => foot >= 0), this.scene.footed ? "foot touches" : "end effector touches", "--foot"],
      [feet.some((foot) => foot < 0), "other part touches", "--touch"],
      [arrays.force, "force on a foot", "--force"],
    ].filter(([there]) => there);
    $("legend").replaceChildren(
      ...entries.map(([, text, color]) => element("li", { style: `--swatch: var(${color})` }, text)),
    );
  }

  showPanels() {
    const { arrays, series, layers } = this.trial;
    $("note").textContent = [config.note, this.trial.note].filter(Boolean).join(" · ");
    $("footfall-panel").hidden = !arrays.stance?.shape[1];
    $("layer-panel").hidden = !layers.length;
    $("trace-panel").hidden = !series.length;
    const feet = this.scene.feet.map((body) => this.scene.bodies[body]);
    $("feet").replaceChildren(...feet.map((name) => element("li", { title: name }, name)));
    this.footfalls.root.style.height = `${ROW * feet.length}px`;
    const before = $("layer").value;
    $("layer").replaceChildren(...layers.map((name) => element("option", { value: name }, name)));
    if (layers.includes(before)) $("layer").value = before;
    this.listSeries(series);
    const chosen = this.traces.map((trace) => trace.key);
    this.traces = [];
    $("traces").replaceChildren();
    const again = chosen.map((key) => series.findIndex((s) => keyOf(s) === key)).filter((i) => i >= 0);
    for (const i of again.length ? again : firstSeries(series)) this.addTrace(i);
    this.redraw();
  }

  listSeries(series) {
    $("add").replaceChildren(element("option", { value: "" }, "choose …"));
    const groups = new Map();
    series.forEach((one, i) => {
      if (!groups.has(one.group)) groups.set(one.group, element("optgroup", { label: one.group }));
      groups.get(one.group).append(element("option", { value: i }, one.name));
    });
    $("add").append(...groups.values());
  }

  addTrace(index) {
    const one = this.trial.series[index];
    if (!one || this.traces.some((trace) => trace.key === keyOf(one))) return;
    const plot = new Plot(`${one.name} over time`, 64, (p, x) => this.seekShare(x / p.width));
    const now = element("output");
    const remove = element("button", { type: "button", "aria-label": `Remove ${one.name}` }, "×");
    const head = element("div", { class: "trace-head" }, element("span", {}, one.name), now, remove);
    const root = element("div", { class: "trace" }, head, plot.root);
    const array = this.trial.arrays.series;
    const trace = {
      key: keyOf(one), unit: one.unit, plot, now, values: column(array, one.column),
      reference: one.reference === undefined ? null : column(array, one.reference),
    };
    remove.addEventListener("click", () => {
      this.traces = this.traces.filter((other) => other !== trace);
      root.remove();
      $("add").focus();
    });
    this.traces.push(trace);
    $("traces").append(root);
    const [low, high] = finite(trace.values);
    plot.canvas.setAttribute("aria-label", `${one.name} over time, from ${short(low)} to ${short(high)} ${one.unit}`);
    drawTrace(plot, trace.values, trace.reference);
    this.ask();
  }

  redraw() {
    if (!this.trial) return;
    if (!$("footfall-panel").hidden) {
      drawFootfalls(this.footfalls, this.trial.arrays.stance);
      const share = this.trial.arrays.stance.data.reduce((a, b) => a + b, 0) / this.trial.arrays.stance.data.length;
      this.footfalls.canvas.setAttribute("aria-label", `Footfalls: feet stand ${Math.round(100 * share)} % of the time`);
    }
    for (const trace of this.traces) drawTrace(trace.plot, trace.values, trace.reference);
    this.drawLayer();
    this.ask();
  }

  drawLayer() {
    if ($("layer-panel").hidden) return;
    const array = this.trial.arrays[`layer_${this.trial.layers.indexOf($("layer").value)}`];
    this.places = drawPoints(this.points, column(array, 0), column(array, 1));
    this.points.canvas.setAttribute("aria-label", `Layer ${$("layer").value}: a point for each frame`);
    this.ask();
  }

  seek(frame) {
    this.frame = clamp(frame, 0, this.trial.frames - 1);
    this.ask();
  }

  seekShare(share) {
    this.seek(Math.round(share * (this.trial.frames - 1)));
  }

  seekPoint(x, y) {
    const away = this.places.map(([a, b]) => (a - x) ** 2 + (b - y) ** 2);
    this.seek(away.indexOf(Math.min(...away)));
  }

  play(playing) {
    this.playing = playing;
    this.last = null;
    if (!playing) this.frame = Math.round(this.frame);
    $("play").textContent = playing ? "Pause" : "Play";
    this.ask();
  }

  setSpeed(speed) {
    this.speed = speed;
    this.hasSpeed = true;
    $("speed").value = speed;
    say(`Speed ${speed}`);
  }

  setCamera(mode) {
    if (!this.stage) return;
    this.stage.camera.mode = mode;
    $("camera").value = mode;
    this.ask();
  }

  resetView() {
    this.stage?.camera.reset();
    this.setCamera("follow");
  }

  toggle(name, shown) {
    if (!this.stage) return;
    this.stage.shown[name] = shown;
    $(`show-${name}`).checked = shown;
    this.ask();
  }

  // Draw soon, once.
  ask() {
    if (this.asked || !this.trial) return;
    this.asked = true;
    requestAnimationFrame((now) => this.tick(now));
  }

  tick(now) {
    this.asked = false;
    if (this.playing) {
      const passed = this.last === null ? 0 : Math.min(0.2, (now - this.last) / 1000);
      this.last = now;
      const end = Math.max(1, this.trial.frames - 1);
      const next = this.frame + passed * this.speed * this.trial.fps;
      this.frame = next > end ? next % (end + 1) : next;
    }
    this.update();
    if (this.playing) this.ask();
  }

  update() {
    const { trial, frame } = this;
    const nearest = Math.round(frame);
    const seconds = (t) => (trial.start + t / trial.fps).toFixed(trial.fps > 250 ? 3 : 2);
    this.stage?.draw(trial, frame, dark.matches ? "dark" : "light");
    $("time").value = nearest;
    $("time").setAttribute("aria-valuetext", `${seconds(nearest)} s, frame ${nearest}`);
    $("clock").textContent = `${seconds(nearest)} / ${seconds(trial.frames - 1)} s`;
    const share = `${(100 * frame) / Math.max(1, trial.frames - 1)}%`;
    this.footfalls.mark.style.left = share;
    for (const trace of this.traces) {
      trace.plot.mark.style.left = share;
      trace.now.textContent = `${short(trace.values[nearest])} ${trace.unit}`;
    }
    const place = this.places?.[nearest];
    if (place) [this.points.mark.style.left, this.points.mark.style.top] = place.map((x) => `${x}px`);
  }

  pressed(event) {
    const focused = document.activeElement;
    if (!this.trial || event.ctrlKey || event.altKey || event.metaKey) return;
    const onStage = focused === $("stage");
    // elsewhere keys belong to what has the focus, and letters to screen readers and speech
    const free = onStage || focused === document.body || focused === null;
    const act = (free && this.timeKeys(event)) || (onStage && this.stageKeys(event));
    if (act) {
      act();
      event.preventDefault();
    }
  }

  timeKeys({ key, shiftKey }) {
    const step = (n) => () => {
      this.play(false);
      this.seek(Math.round(this.frame) + n);
    };
    return {
      " ": () => this.play(!this.playing),
      ArrowLeft: step(shiftKey ? -10 : -1),
      ArrowRight: step(shiftKey ? 10 : 1),
      Home: step(-Infinity),
      End: step(Infinity),
    }[key];
  }

  stageKeys({ key, shiftKey }) {
    const camera = this.stage?.camera;
    const move = (right, up) => () => {
      if (shiftKey) camera?.pan(0.05 * right, 0.05 * up);
      else camera?.turn(6 * right, 6 * up);
      this.ask();
    };
    const zoom = (factor) => () => {
      camera?.zoom(factor);
      this.ask();
    };
    const faster = (n) => () => this.setSpeed(SPEEDS[clamp(SPEEDS.indexOf(this.speed) + n, 0, SPEEDS.length - 1)]);
    const trial = (n) => () => this.show(clamp(this.number + n, 0, config.trials.length - 1));
    const keys = {
      w: move(0, 1), s: move(0, -1), a: move(-1, 0), d: move(1, 0),
      "+": zoom(0.88), "=": zoom(0.88), "-": zoom(1 / 0.88), ",": faster(-1), ".": faster(1),
      f: () => this.setCamera(camera?.mode === "free" ? "follow" : "free"),
      r: () => this.resetView(), n: trial(1), p: trial(-1),
    };
    for (const [name, { key: own }] of Object.entries(TOGGLES)) {
      if (!$(`show-${name}`).parentElement.hidden) {
        keys[own] = () => this.toggle(name, !this.stage?.shown[name]);
      }
    }
    return keys[key.toLowerCase()];
  }
}

const keyOf = (series) => `${series.group}/${series.name}`;

// The first two metrics, or whatever there is.
function firstSeries(series) {
  const of = (group) => series.map((s, i) => (s.group === group ? i : -1)).filter((i) => i >= 0);
  return [...of("metrics").slice(0, 2), ...of("motion"), ...of("joint angles")].slice(0, 2);
}

const say = (text) => ($("status").textContent = text);

function complain(text) {
  $("message").textContent = text;
  $("message").hidden = false;
}

async function begin() {
  $("title").textContent = config.title;
  $("note").textContent = config.note;
  const app = new App(await load("scene"));
  const asked = new URLSearchParams(location.hash.slice(1)); // #trial=name&t=seconds&play
  const number = config.trials.indexOf(asked.get("trial"));
  await app.show(number < 0 ? 0 : number);
  if (asked.has("t")) app.seek(Math.round((Number(asked.get("t")) - app.trial.start) * app.trial.fps));
  if (asked.has("play")) app.play(true);
  return app;
}

// For scripts: a promise of the page's parts. Data come in scripts after this one.
window.mimicViewer = new Promise((done) => document.addEventListener("DOMContentLoaded", done)).then(begin);
window.mimicViewer.catch((error) => complain(`This page cannot be shown: ${error.message}`));
