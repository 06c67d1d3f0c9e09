// Plots over time on 2-D canvases: traces, footfalls, and layers of the network as points.

const colorOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// A canvas with a mark for the present time; a click or a drag on it chooses a time.
class Plot {
  constructor(label, height, seek) {
    this.canvas = element("canvas", { role: "img", "aria-label": label });
    this.mark = element("div", { class: "mark", "aria-hidden": "true" });
    this.root = element("div", { class: "plot" }, this.canvas, this.mark);
    this.root.style.height = `${height}px`;
    const choose = (event) => {
      const box = this.root.getBoundingClientRect();
      seek(this, event.clientX - box.left, event.clientY - box.top);
    };
    this.root.addEventListener("pointerdown", (event) => {
      this.root.setPointerCapture(event.pointerId);
      choose(event);
    });
    this.root.addEventListener("pointermove", (event) => event.buttons && choose(event));
  }

  // A context in units of CSS pixels, cleared; null while the plot is not shown.
  begin() {
    const scale = Math.min(window.devicePixelRatio || 1, 2);
    [this.width, this.height] = [this.root.clientWidth, this.root.clientHeight];
    if (!this.width) return null;
    [this.canvas.width, this.canvas.height] = [this.width * scale, this.height * scale];
    const context = this.canvas.getContext("2d");
    context.scale(scale, scale);
    context.font = "11px system-ui, sans-serif";
    context.lineJoin = "round";
    return context;
  }
}

function finite(values) {
  let low = Infinity, high = -Infinity;
  for (const x of values) {
    if (x < low) low = x;
    if (x > high) high = x;
  }
  return low > high ? [0, 1] : low === high ? [low - 0.5, high + 0.5] : [low, high];
}

function short(x) {
  if (!Number.isFinite(x)) return "–";
  const size = Math.abs(x);
  return size !== 0 && (size < 0.01 || size >= 1e5) ? x.toExponential(1) : String(Number(x.toPrecision(3)));
}

function drawTrace(plot, values, reference) {
  const context = plot.begin();
  if (!context) return;
  const [low, high] = finite(reference ? [...values, ...reference] : values);
  const y = (x) => plot.height - 5 - ((x - low) / (high - low)) * (plot.height - 10);
  const x = (t) => (t / Math.max(values.length - 1, 1)) * plot.width;
  const line = (numbers, color, width) => { // with gaps where nothing is known
    context.beginPath();
    let pen = false;
    numbers.forEach((value, t) => {
      if (Number.isNaN(value)) pen = false;
      else {
        pen ? context.lineTo(x(t), y(value)) : context.moveTo(x(t), y(value));
        pen = true;
      }
    });
    context.strokeStyle = color;
    context.lineWidth = width;
    context.stroke();
  };
  if (low < 0 && high > 0) {
    context.fillStyle = colorOf("--line");
    context.fillRect(0, y(0), plot.width, 1);
  }
  if (reference) line(reference, colorOf("--ghost"), 3);
  line(values, colorOf("--trace"), 1.5);
  for (const [x, place] of [[high, 12], [low, plot.height - 4]]) {
    context.strokeStyle = colorOf("--panel"); // a rim, so that it can be read on the line
    context.lineWidth = 4;
    context.strokeText(short(x), 4, place);
    context.fillStyle = colorOf("--muted");
    context.fillText(short(x), 4, place);
  }
}

function drawFootfalls(plot, stance, feet) {
  const context = plot.begin();
  if (!context) return;
  const [frames, count] = stance.shape;
  const row = plot.height / count;
  const x = (t) => (t / Math.max(frames - 1, 1)) * plot.width;
  for (let foot = 0; foot < count; foot++) {
    if (foot % 2) {
      context.fillStyle = colorOf("--stripe");
      context.fillRect(0, foot * row, plot.width, row);
    }
    context.fillStyle = colorOf("--foot");
    let start = null;
    for (let t = 0; t <= frames; t++) {
      const stands = t < frames && stance.data[t * count + foot];
      if (stands && start === null) start = t;
      if (!stands && start !== null) {
        context.fillRect(x(start - 0.5), foot * row + 0.22 * row, Math.max(1, x(t - start)), 0.56 * row);
        start = null;
      }
    }
  }
}

// Points of a layer, from the first frame (light) to the last (full color); returns their places.
function drawPoints(plot, first, second) {
  const context = plot.begin();
  if (!context) return [];
  const pad = 12;
  const scale = (values, size, flip) => {
    const [low, high] = finite(values);
    return (v) => {
      const share = (v - low) / (high - low);
      return pad + (flip ? 1 - share : share) * (size - 2 * pad);
    };
  };
  const [x, y] = [scale(first, plot.width, false), scale(second, plot.height, true)];
  const places = Array.from(first, (value, t) => [x(value), y(second[t])]);
  context.strokeStyle = colorOf("--line");
  context.beginPath();
  places.forEach(([a, b], t) => (t ? context.lineTo(a, b) : context.moveTo(a, b)));
  context.stroke();
  places.forEach(([a, b], t) => {
    const share = t / Math.max(places.length - 1, 1);
    context.fillStyle = `hsl(${260 - 230 * share} 75% 55%)`;
    context.beginPath();
    context.arc(a, b, 2.4, 0, 2 * Math.PI);
    context.fill();
  });
  return places;
}
