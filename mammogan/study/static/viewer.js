// Greyscale pictures on canvases: zoom by pinch or wheel, pan, window and level. No library.
//
// A picture comes as its grey bytes, row by row. Panes share one `Tones`, so that what is done to the window of
// one holds for all; with `link` they share zoom and place as well. Zoom 1 fits the picture into its pane.
//
//   const tones = new Tones();
//   const pane = new Pane(canvas, {height: 1280, width: 1024}, tones);
//   pane.show(await bytes("p/..."));
//   link([left, right], true);

const MAX_ZOOM = 12;
const TAP_MS = 320, TAP_PX = 24, PAUSE_MS = 400, STEP = 1.25;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** Fetch a picture's bytes; throws where they don't come or are not as many as they should be. */
export async function bytes(url, count) {
  const answer = await fetch(url, {credentials: "same-origin"});
  if (!answer.ok) throw new Error(`the picture did not come (${answer.status})`);
  const grey = new Uint8Array(await answer.arrayBuffer());
  if (count && grey.length !== count) throw new Error("the picture came incomplete");
  return grey;
}

/** Window and level: `centre` and `width` in grey levels of 0 to 255, as one table for all panes. */
export class Tones extends EventTarget {
  #last;

  constructor() {
    super();
    this.changes = 0; // a drag is one
    this.#last = -Infinity;
    this.table = new Uint32Array(256);
    this.#set(127.5, 255);
  }

  /** Set both; `counts` says whether a person did it. */
  set(centre, width, counts = true) {
    centre = clamp(centre, 0, 255);
    width = clamp(width, 4, 510);
    if (centre === this.centre && width === this.width) return;
    const now = performance.now();
    if (counts && now - this.#last > PAUSE_MS) this.changes += 1;
    this.#last = now;
    this.#set(centre, width);
    this.dispatchEvent(new Event("change"));
  }

  reset() { this.set(127.5, 255); }

  get isDefault() { return this.centre === 127.5 && this.width === 255; }

  #set(centre, width) {
    [this.centre, this.width] = [centre, width];
    for (let level = 0; level < 256; level += 1) {
      const grey = clamp(Math.round(255 * ((level - centre) / width + 0.5)), 0, 255);
      this.table[level] = (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
    }
  }
}

/** One picture on a canvas. `dragTones` makes one finger or button drag the window instead of the picture. */
export class Pane extends EventTarget {
  constructor(canvas, size, tones) {
    super();
    [this.canvas, this.size, this.tones] = [canvas, size, tones];
    this.context = canvas.getContext("2d", {alpha: false});
    this.paper = document.createElement("canvas");
    [this.paper.width, this.paper.height] = [size.width, size.height];
    this.ink = this.paper.getContext("2d");
    this.pixels = this.ink.createImageData(size.width, size.height);
    this.words = new Uint32Array(this.pixels.data.buffer);
    this.grey = null;
    this.dragTones = false;
    this.partners = [];
    this.maxZoom = 1;
    this.#home();
    tones.addEventListener("change", () => this.#develop());
    new ResizeObserver(() => this.#fit()).observe(canvas);
    this.#listen();
  }

  /** Show grey bytes, zoomed out. */
  show(grey) {
    this.grey = grey;
    this.maxZoom = 1;
    this.#home();
    this.dispatchEvent(new Event("zoom"));
    this.#develop();
  }

  /** Zoom by a factor about a point of the canvas, in CSS pixels; without one, about its middle. */
  zoomBy(factor, x = this.#box.width / 2, y = this.#box.height / 2) {
    const zoom = clamp(this.zoom * factor, 1, MAX_ZOOM);
    const ratio = zoom / this.zoom, scale = this.#scale;
    // What lies under the point stays there; `x` and `y` are the picture's middle, in pictures' pixels.
    const dx = (x - this.#box.width / 2) / scale, dy = (y - this.#box.height / 2) / scale;
    this.#move(zoom, this.x + dx * (1 - 1 / ratio), this.y + dy * (1 - 1 / ratio));
  }

  /** Move the picture by CSS pixels. */
  panBy(dx, dy) { this.#move(this.zoom, this.x - dx / this.#scale, this.y - dy / this.#scale); }

  /** Zoom out and centre. */
  reset() { this.#move(1, this.size.width / 2, this.size.height / 2); }

  #home() { [this.zoom, this.x, this.y] = [1, this.size.width / 2, this.size.height / 2]; }

  get #box() { return this.canvas.getBoundingClientRect(); }

  get #scale() {
    const box = this.#box;
    return this.zoom * Math.min(box.width / this.size.width, box.height / this.size.height) || 1;
  }

  #move(zoom, x, y) {
    this.#place(zoom, x, y);
    for (const partner of this.partners) partner.#place(this.zoom, this.x, this.y);
  }

  #place(zoom, x, y) {
    this.zoom = zoom;
    const box = this.#box, scale = this.#scale;
    for (const [axis, value, side, seen] of [["x", x, this.size.width, box.width / scale],
                                             ["y", y, this.size.height, box.height / scale]]) {
      this[axis] = seen >= side ? side / 2 : clamp(value, seen / 2, side - seen / 2);
    }
    this.maxZoom = Math.max(this.maxZoom, zoom);
    this.dispatchEvent(new Event("zoom"));
    this.#draw();
  }

  #fit() {
    const box = this.#box, ratio = devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    this.#place(this.zoom, this.x, this.y);
  }

  #develop() {
    if (!this.grey) return;
    const {words, grey, tones: {table}} = this;
    for (let at = 0; at < grey.length; at += 1) words[at] = table[grey[at]];
    this.ink.putImageData(this.pixels, 0, 0);
    this.#draw();
  }

  #draw() {
    const {context, canvas} = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!this.grey) return;
    const scale = this.#scale * (canvas.width / this.#box.width || 1);
    context.imageSmoothingEnabled = scale < 4; // closer than that people want to see the pixels
    context.imageSmoothingQuality = "high";
    context.setTransform(scale, 0, 0, scale, canvas.width / 2 - this.x * scale, canvas.height / 2 - this.y * scale);
    context.drawImage(this.paper, 0, 0);
  }

  #listen() {
    const {canvas} = this, down = new Map();
    let tap = null, moved = 0;
    const spot = (event) => {
      const box = this.#box;
      return {x: event.clientX - box.left, y: event.clientY - box.top};
    };
    const middle = () => {
      const all = [...down.values()], sum = all.reduce((a, b) => ({x: a.x + b.x, y: a.y + b.y}), {x: 0, y: 0});
      const spread = all.length > 1 ? Math.hypot(all[0].x - all[1].x, all[0].y - all[1].y) : 0;
      return {x: sum.x / all.length, y: sum.y / all.length, spread};
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (down.size > 1) return;
      canvas.setPointerCapture(event.pointerId);
      down.set(event.pointerId, {...spot(event), tones: event.button === 2 || event.shiftKey});
      if (down.size === 1) moved = 0; else moved = Infinity;
    });
    canvas.addEventListener("pointermove", (event) => {
      const was = down.get(event.pointerId);
      if (!was) return;
      const before = middle();
      down.set(event.pointerId, {...was, ...spot(event)});
      const after = middle(), dx = after.x - before.x, dy = after.y - before.y;
      moved += Math.hypot(dx, dy);
      if (down.size === 1 && (was.tones || this.dragTones)) {
        this.tones.set(this.tones.centre - dy * 0.5, this.tones.width + dx);
      } else {
        this.panBy(dx, dy);
        if (before.spread > 0 && after.spread > 0) this.zoomBy(after.spread / before.spread, after.x, after.y);
      }
    });
    const up = (event) => {
      if (!down.delete(event.pointerId)) return;
      if (event.type === "pointercancel" || down.size || moved > TAP_PX) { tap = null; return; }
      const now = {...spot(event), t: event.timeStamp};
      const twice = tap && now.t - tap.t < TAP_MS && Math.hypot(now.x - tap.x, now.y - tap.y) < TAP_PX;
      if (twice) this.#toggle(now); // a double tap
      tap = twice ? null : now;
    };
    for (const kind of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(kind, up);
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault(); // with ctrl it is a trackpad's pinch, whose steps are finer
      const step = event.deltaY * (event.deltaMode === 1 ? 16 : 1) * (event.ctrlKey ? 0.01 : 0.002);
      this.zoomBy(Math.exp(-clamp(step, -1, 1)), spot(event).x, spot(event).y);
    }, {passive: false});
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    // iOS zooms the page by its own gesture, whatever the page asks for; and Chromium would take the end of a
    // quick drag for a fling, and swallow the tap on a button that follows.
    for (const kind of ["touchstart", "gesturestart", "gesturechange"]) {
      canvas.addEventListener(kind, (event) => event.preventDefault(), {passive: false});
    }
  }

  #toggle({x, y}) { if (this.zoom > 1.01) this.reset(); else this.zoomBy(2.5, x, y); }
}

/** Let panes share zoom and place, or each have its own. */
export function link(panes, on) {
  for (const pane of panes) pane.partners = on ? panes.filter((other) => other !== pane) : [];
  if (on && panes.length) panes[0].panBy(0, 0);
}

/** Keys that any page with panes has: + - 0 zoom, R the window; gives whether the key was one of them. */
export function keyed(event, panes, tones, linked) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const all = linked ? panes.slice(0, 1) : panes;
  const actions = {
    "+": () => all.forEach((pane) => pane.zoomBy(STEP)),
    "=": () => all.forEach((pane) => pane.zoomBy(STEP)),
    "-": () => all.forEach((pane) => pane.zoomBy(1 / STEP)),
    "0": () => all.forEach((pane) => pane.reset()),
    "[": () => tones.set(tones.centre + 8, tones.width),
    "]": () => tones.set(tones.centre - 8, tones.width),
    "{": () => tones.set(tones.centre, tones.width + 16),
    "}": () => tones.set(tones.centre, tones.width - 16),
    "r": () => tones.reset(),
  };
  const action = actions[event.key] || actions[event.key.toLowerCase()];
  if (action) action();
  return Boolean(action);
}

/** Bind sliders named brightness and contrast, and a button that resets, to tones. */
export function bindTones(tones, {brightness, contrast, reset}) {
  // Brighter is a lower centre; contrast runs in equal ratios, 0 is none of it changed.
  const read = () => tones.set(127.5 - Number(brightness.value), 255 * 2 ** (-Number(contrast.value) / 50));
  for (const slider of [brightness, contrast]) slider.addEventListener("input", read);
  reset.addEventListener("click", () => tones.reset());
  const write = () => {
    brightness.value = 127.5 - tones.centre;
    contrast.value = -50 * Math.log2(tones.width / 255);
    reset.disabled = tones.isDefault;
  };
  tones.addEventListener("change", write);
  write();
}
