// A shared device: after some time without a touch it asks who is there, and then makes room for the next.
"use strict";
(() => {
  const box = document.getElementById("idle");
  if (!box) return;
  const GRACE_S = 45, left = box.querySelector("[data-left]");
  let last = Date.now();
  const touched = () => { if (!box.open) last = Date.now(); };
  for (const kind of ["pointerdown", "pointermove", "keydown", "wheel"]) addEventListener(kind, touched, {passive: true});
  const stay = () => { last = Date.now(); if (box.open) box.close(); };
  box.querySelector("[data-stay]").addEventListener("click", stay);
  box.addEventListener("close", stay);
  setInterval(() => {
    const over = (Date.now() - last) / 1000 - Number(box.dataset.idleS);
    if (over < 0) return;
    if (!box.open) box.showModal();
    left.textContent = `(${Math.max(0, Math.ceil(GRACE_S - over))})`;
    if (over > GRACE_S) { last = Infinity; box.querySelector("form").submit(); }
  }, 500);
})();
