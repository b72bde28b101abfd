// One pair after the other on one page: the next pair's pictures are fetched while the current one is looked at,
// and an answer that finds no server is sent again until it does. The server alone decides what comes next.
import {Pictures, RETRY_MS, by, isOver, pause, post, say} from "./resend.js";
import {Pane, Tones, bindTones, keyed, link} from "./viewer.js";

const main = by("pair"), form = by("answer");
const sides = ["left", "right"];
const size = {height: Number(main.dataset.height), width: Number(main.dataset.width)};
const tones = new Tones();
const boxes = Object.fromEntries(sides.map((side) => [side, main.querySelector(`.pane[data-side=${side}]`)]));
const panes = Object.fromEntries(sides.map((side) => [side, new Pane(boxes[side].querySelector("canvas"), size, tones)]));
const both = sides.map((side) => panes[side]);
const pictures = new Pictures(size.height * size.width);
let linked = false, clock = null, sending = false;
let hand = matchMedia("(pointer: coarse)").matches ? "touch" : "mouse";

for (const side of sides) {
  const mark = boxes[side].querySelector(".mark");
  panes[side].addEventListener("zoom", () => {
    const zoom = panes[side].zoom;
    mark.textContent = zoom > 1.01 ? `${zoom.toFixed(1)}×` : "";
    by("home").disabled = both.every((pane) => pane.zoom < 1.01);
  });
}

/** Time spent with both pictures in view, over reloads of the page; and how long it was hidden meanwhile. */
class Clock {
  constructor(trial) {
    this.key = `pair ${main.dataset.left}`;
    const kept = JSON.parse(sessionStorage.getItem(this.key) || "[0,0]");
    [this.before, this.hidden] = kept;
    [this.begun, this.since, this.trial] = [performance.now(), document.hidden ? performance.now() : null, trial];
  }

  get spent() { return this.before + performance.now() - this.begun; }

  get unseen() { return this.hidden + (this.since === null ? 0 : performance.now() - this.since); }

  seen() {
    if (document.hidden) { if (this.since === null) this.since = performance.now(); return; }
    this.hidden = this.unseen;
    this.since = null;
  }

  keep() { sessionStorage.setItem(this.key, JSON.stringify([this.spent, this.unseen])); }
}

async function showPair() {
  const {trial, left, right, nextLeft, nextRight} = main.dataset;
  clock = null;
  choose("");
  for (const side of sides) boxes[side].querySelector(".wait").hidden = false;
  for (const button of form.querySelectorAll("[data-choose]")) button.disabled = true;
  let shown = null;
  while (!shown) {
    try {
      shown = await Promise.all([pictures.get(left), pictures.get(right)]);
    } catch (error) {
      if (main.dataset.trial !== trial) return;
      if (isOver(error)) { location.reload(); await pause(10 * RETRY_MS); }
      say("The images have not come yet. Trying again…");
      await pause(RETRY_MS);
    }
  }
  say("");
  shown.forEach((grey, index) => both[index].show(grey));
  for (const side of sides) boxes[side].querySelector(".wait").hidden = true;
  for (const button of form.querySelectorAll("[data-choose]")) button.disabled = false;
  tones.set(127.5, 255, false);
  tones.changes = 0;
  clock = new Clock(trial);
  main.dataset.shown = trial;
  pictures.keepOnly([left, right, nextLeft, nextRight]);
  pictures.prefetch([nextLeft, nextRight]);
}

function choose(side) {
  form.elements.side.value = side;
  for (const button of form.querySelectorAll("[data-choose]")) {
    button.setAttribute("aria-pressed", String(button.dataset.choose === side));
  }
  for (const name of sides) boxes[name].classList.toggle("chosen", name === side);
  by("confirm").hidden = !side;
  by("question").textContent = side ? `You chose the ${side} one. How sure are you?` : "Which image is synthetic?";
  if (!side) for (const option of form.querySelectorAll("[name=confidence]")) option.checked = false;
}

function device() {
  const agent = navigator.userAgent, touch = navigator.maxTouchPoints > 1;
  const system = /iPad|iPhone/.test(agent) || (/Macintosh/.test(agent) && touch) ? "iOS"
    : /Android/.test(agent) ? "Android" : /Windows/.test(agent) ? "Windows" : /Mac OS/.test(agent) ? "macOS"
    : /CrOS/.test(agent) ? "ChromeOS" : /Linux/.test(agent) ? "Linux" : "other";
  return `${hand} ${system}`;
}

function fields() {
  const data = new URLSearchParams(new FormData(form));
  const log = {
    rt_ms: Math.round(clock.spent), hidden_ms: Math.round(clock.unseen),
    max_zoom_l: panes.left.maxZoom.toFixed(2), max_zoom_r: panes.right.maxZoom.toFixed(2),
    wl_changes: tones.changes, device: device(), dpr: devicePixelRatio.toFixed(2),
    viewport: `${innerWidth}x${innerHeight}`,
  };
  for (const [name, value] of Object.entries(log)) data.set(name, value);
  return data;
}

async function send() {
  if (sending || !form.elements.side.value || !clock) return;
  sending = true;
  const submit = form.querySelector("[type=submit]"), body = fields();
  submit.disabled = true;
  try {
    await follow(await post(form.action, body, "answer"));
  } finally {
    [sending, submit.disabled] = [false, false];
  }
}

async function follow(answer) {
  const page = new DOMParser().parseFromString(answer.text, "text/html");
  const next = page.getElementById("pair");
  if (!answer.ok || !next) { location.replace(answer.ok ? answer.url : "pair"); return; }
  sessionStorage.removeItem(clock.key);
  Object.assign(main.dataset, next.dataset);
  form.elements.trial.value = next.dataset.trial;
  for (const id of ["progress", "steps"]) by(id).replaceChildren(...page.getElementById(id).childNodes);
  say("");
  by("tools").open = false;
  await showPair();
}

function press(button, on) { button.setAttribute("aria-pressed", String(on)); }
function setLinked(on) { linked = on; press(by("link"), on); link(both, on); }
function setDrag(on) { for (const pane of both) pane.dragTones = on; press(by("drag"), on); }

for (const button of form.querySelectorAll("[data-choose]")) {
  button.addEventListener("click", () => choose(button.dataset.choose));
}
form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
by("link").addEventListener("click", () => setLinked(!linked));
by("drag").addEventListener("click", () => setDrag(!both[0].dragTones));
by("home").addEventListener("click", () => both.forEach((pane) => pane.reset()));
by("full").addEventListener("click", () => {
  if (document.fullscreenElement) document.exitFullscreen(); else document.documentElement.requestFullscreen().catch(() => {});
});
by("full").hidden = !document.documentElement.requestFullscreen;
bindTones(tones, {brightness: by("brightness"), contrast: by("contrast"), reset: by("reset")});
addEventListener("pointerdown", (event) => {
  hand = event.pointerType || hand;
  if (!by("tools").contains(event.target)) by("tools").open = false;
});
// A tool that was touched keeps no focus: Enter is the answer's again.
addEventListener("click", (event) => { if (event.detail && event.target.closest?.(".top")) document.activeElement?.blur(); });
addEventListener("visibilitychange", () => clock?.seen());
addEventListener("pagehide", () => { if (clock && !sending) clock.keep(); });
addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
  const slides = event.target.type === "range";
  if (!clock) return;
  if (event.key === "Enter" && form.elements.side.value && !event.target.closest?.(".top")) { event.preventDefault(); send(); }
  else if (["ArrowLeft", "ArrowRight"].includes(event.key) && !slides) { event.preventDefault(); choose(event.key === "ArrowLeft" ? "left" : "right"); }
  else if (/^[1-5]$/.test(event.key) && form.elements.side.value) form.querySelector(`[name=confidence][value="${event.key}"]`).checked = true;
  else if (event.key.toLowerCase() === "l") setLinked(!linked);
  else if (event.key.toLowerCase() === "w") setDrag(!both[0].dragTones);
  else if (keyed(event, both, tones, linked)) event.preventDefault();
});

showPair();
