// The room's light: dark or light, by the device's own setting until somebody chooses. Loaded before the page.
"use strict";
(() => {
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => { root.dataset.theme = kept() || (dark.matches ? "dark" : "light"); };
  show();
  dark.addEventListener("change", show);
  addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-theme-switch]")) return;
    const next = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", next); } catch { /* a private window: for this page only */ }
    root.dataset.theme = next;
  });
  // A page that comes back by the Back button out of the browser's memory may be one that is over.
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
})();
