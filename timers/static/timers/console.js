// The living region: asks for itself every few seconds while someone looks, and says so when it cannot.
"use strict";
(() => {
  const region = document.getElementById("live");
  const control = document.getElementById("live-control");
  if (!region || !control || !window.htmx) return;

  const word = document.getElementById("live-word");
  const button = document.getElementById("live-button");
  const announcement = document.getElementById("announcement");
  const every = Number(control.dataset.seconds) * 1000;
  const longest = 30_000;
  const kept = "timers.console.paused";

  let paused = recall();
  let failures = 0;
  let timer = 0;
  let asking = false;
  let lastAnswer = performance.now();
  let announced = told();

  function recall() {
    try { return localStorage.getItem(kept) === "yes"; } catch { return false; }
  }

  function remember() {
    try { localStorage.setItem(kept, paused ? "yes" : "no"); } catch { /* private mode: kept for this page only */ }
  }

  const wanted = () => !paused && !document.hidden;

  // A refresh would take away what is being selected, and what lies below an open dialog.
  function disturbs() {
    const selection = getSelection();
    const selecting = selection && !selection.isCollapsed && region.contains(selection.anchorNode);
    return selecting || document.querySelector("dialog[open]") !== null;
  }

  function plan(delay) {
    clearTimeout(timer);
    if (wanted()) timer = setTimeout(tick, delay);
  }

  function tick() {
    if (!wanted() || asking) return;
    if (disturbs()) { plan(every); return; }
    document.body.dispatchEvent(new CustomEvent("console:tick"));
  }

  function show() {
    const age = Math.round((performance.now() - lastAnswer) / 1000);
    const state = paused ? "paused" : failures ? "reconnecting" : "live";
    control.dataset.state = state;
    region.classList.toggle("is-stale", state === "reconnecting");
    const text = { paused: "Paused", live: "Live", reconnecting: `Reconnecting (last data ${age} s ago)` }[state];
    if (word.textContent !== text) word.textContent = text;
    button.textContent = paused ? "Resume" : "Pause";
    button.setAttribute("aria-pressed", String(paused));
  }

  // Heard only when something is wrong or right again, not at every number that moves.
  function told() {
    const sentence = document.getElementById("sentence");
    const banners = [...region.querySelectorAll(".banner p")].map((banner) => banner.textContent.replace(/[\d.]+/g, "#"));
    return (sentence ? sentence.className : "") + banners.join("|");
  }

  function announce() {
    const now = told();
    if (now === announced) return;
    announced = now;
    announcement.textContent = document.getElementById("sentence")?.textContent ?? "";
  }

  function span(seconds) {
    if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    const two = (number, unit, rest, smaller) => (rest ? `${number} ${unit} ${rest} ${smaller}` : `${number} ${unit}`);
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return two(Math.floor(whole / 60), "m", whole % 60, "s");
    if (whole < 86400) return two(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "m");
    return two(Math.floor(whole / 86400), "d", Math.floor((whole % 86400) / 3600), "h");
  }

  function countDown() {
    const since = (performance.now() - lastAnswer) / 1000;
    for (const element of region.querySelectorAll(".countdown")) {
      const left = Number(element.dataset.left) - since;
      const text = left <= 0 ? "due now" : `in ${span(left)}`;
      if (element.textContent !== text) element.textContent = text;
    }
  }

  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt === region) asking = true;
  });
  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.elt !== region) return;
    asking = false;
    failures = event.detail.successful ? 0 : failures + 1;
    if (event.detail.successful) lastAnswer = performance.now();
    show();
    plan(Math.min(every * 2 ** failures, longest));
  });
  document.body.addEventListener("htmx:afterSwap", announce);
  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : tick()));
  button.addEventListener("click", () => {
    paused = !paused;
    remember();
    show();
    if (paused) clearTimeout(timer); else tick();
  });
  setInterval(() => {
    if (!wanted()) return;
    countDown();
    show();
  }, 1000);

  button.hidden = false;
  show();
  plan(every);
})();
