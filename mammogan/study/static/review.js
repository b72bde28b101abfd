// One picture after the other on one page: the next one is fetched while the current one is looked at, and a
// verdict that finds no server is sent again until it does. The server alone decides what is due.
import {Pictures, RETRY_MS, by, isOver, pause, post, say} from "./resend.js";
import {Pane, Tones, bindTones, keyed} from "./viewer.js";

const main = by("look"), form = by("verdict"), end = by("end"), pane = document.querySelector(".pane");
const size = {height: Number(main.dataset.height), width: Number(main.dataset.width)};
const tones = new Tones(), view = new Pane(pane.querySelector("canvas"), size, tones);
const kinds = [...form.querySelectorAll(".kind")], pictures = new Pictures(size.height * size.width);
let state = JSON.parse(main.dataset.state), shown = null, busy = false, hidden = 0, since = null;

const isChosen = (kind) => kind.getAttribute("aria-pressed") === "true";
const chosen = () => kinds.filter(isChosen).map((kind) => kind.dataset.kind);

/** Choose kinds, and let the large button say what it will do. */
function choose(names) {
  for (const kind of kinds) kind.setAttribute("aria-pressed", String(names.includes(kind.dataset.kind)));
  const keep = by("keep");
  keep.classList.toggle("primary", names.length > 0);
  keep.firstElementChild.textContent = names.length ? "Next" : "No artefact";
  keep.lastElementChild.textContent = names.length ? "\u21b5" : "N";
  by("question").textContent = names.length > 1 ? `${names.length} kinds of artefacts` : names.length ? "An artefact" : "Is there an artefact?";
}

function enable(on) {
  for (const button of [...kinds, by("keep")]) button.disabled = !on;
  by("undo").disabled = by("undo-end").disabled = busy || !state.position;
}

async function show() {
  shown = null;
  choose(state.artefacts);
  const over = state.position === state.total;
  [form.hidden, end.hidden] = [over, !over];
  by("count").textContent = over ? `${state.total} of ${state.total}` : `${state.position + 1} of ${state.total}`;
  by("done").value = state.position;
  main.dataset.shown = "";
  enable(false);
  pane.querySelector(".wait").hidden = false;
  pane.querySelector(".wait").textContent = over ? "" : "Loading…";
  const {position, now, next, before} = state;
  while (now) {
    try {
      const grey = await pictures.get(now);
      if (state.position !== position) return;
      view.show(grey);
      break;
    } catch (error) {
      if (isOver(error)) { location.reload(); return; }
      say("The image has not come yet. Trying again…");
      await pause(RETRY_MS);
    }
  }
  say("");
  pane.querySelector(".wait").hidden = !over;
  tones.changes = 0;
  [hidden, since, shown] = [0, document.hidden ? performance.now() : null, over ? null : performance.now()];
  enable(!over);
  main.dataset.shown = String(position);
  pictures.keepOnly([now, next, before]);
  pictures.prefetch([next, before]);
}

/** Send a decision; the answer is the new state. */
async function send(where, fields) {
  if (busy) return;
  busy = true;
  enable(false);
  const answer = await post(`${where}-${main.dataset.number}`, new URLSearchParams(fields), "verdict");
  if (!answer.ok) { location.reload(); return; }
  state = JSON.parse(answer.text);
  busy = false;
  await show();
}

function judge(names) {
  if (shown === null) return;
  const unseen = hidden + (since === null ? 0 : performance.now() - since);
  send("verdict", {
    position: state.position, artefacts: names.join(" ") || "none", rt_ms: Math.round(performance.now() - shown),
    hidden_ms: Math.round(unseen), max_zoom: view.maxZoom.toFixed(2), wl_changes: tones.changes,
  });
}

function undo() { if (state.position) send("back", {position: state.position - 1}); }

function toggle(kind) { choose(isChosen(kind) ? chosen().filter((name) => name !== kind.dataset.kind) : [...chosen(), kind.dataset.kind]); }

function setDrag(on) { view.dragTones = on; by("drag").setAttribute("aria-pressed", String(on)); }

for (const kind of kinds) kind.addEventListener("click", () => toggle(kind));
form.addEventListener("submit", (event) => { event.preventDefault(); judge(chosen()); });
for (const name of ["undo", "undo-end"]) by(name).addEventListener("click", undo);
by("drag").addEventListener("click", () => setDrag(!view.dragTones));
bindTones(tones, {brightness: by("brightness"), contrast: by("contrast"), reset: by("reset")});
view.addEventListener("zoom", () => { pane.querySelector(".mark").textContent = view.zoom > 1.01 ? `${view.zoom.toFixed(1)}×` : ""; });
addEventListener("pointerdown", (event) => { if (!by("tools").contains(event.target)) by("tools").open = false; });
addEventListener("visibilitychange", () => {
  if (document.hidden) { since ??= performance.now(); return; }
  if (since !== null) hidden += performance.now() - since;
  since = null;
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && !"+-".includes(event.key)) return;
  const key = event.key.toLowerCase(), kind = kinds.find((each) => each.dataset.key === key);
  if (event.target.type === "range" && key.startsWith("arrow")) return;
  if (key === "enter" && event.target.closest?.(".top, #undo, #end")) return;
  if (["arrowleft", "u", "backspace"].includes(key)) undo();
  else if (shown === null) return;
  else if (kind) toggle(kind);
  else if (key === "n") { if (chosen().length) choose([]); else judge([]); }
  else if (key === "y") say("Choose what kind of artefact it is.");
  else if (key === "enter" || key === "arrowright") { if (chosen().length) judge(chosen()); else if (key === "enter") say("Press N if nothing is wrong, or choose a kind of artefact."); }
  else if (!keyed(event, [view], tones, false)) return;
  event.preventDefault();
});

show();
