// Keeps the sections of a page fresh, and nothing else: without it every page works, and stands still.
"use strict";

const EVERY = 5000; // milliseconds between two looks
const fresh = document.getElementById("fresh");
const looked = document.getElementById("looked");
const pause = document.getElementById("pause");
let paused = false;
let tag = null;

function zone() {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!own || document.cookie.split("; ").some((each) => each.startsWith("watchkeeper_zone="))) return;
  document.cookie = `watchkeeper_zone=${own}; max-age=31536000; path=/; samesite=lax`;
  if (own !== "UTC" && document.cookie.includes("watchkeeper_zone=")) location.reload();
}

// A section in which somebody types, has opened a form, or has selected text is left alone.
function busy(section) {
  if (section.contains(document.activeElement) && document.activeElement !== document.body) return true;
  for (const field of section.querySelectorAll("input:not([type=hidden]), textarea, select"))
    if (field.value !== field.defaultValue && field.tagName !== "SELECT") return true;
  if (section.querySelector("details.act[open]")) return true;
  const chosen = getSelection();
  return !chosen.isCollapsed && section.contains(chosen.anchorNode);
}

function replace(section, other) {
  if (section.innerHTML === other.innerHTML || busy(section)) return;
  const open = new Set([...section.querySelectorAll("details[open][id]")].map((each) => each.id));
  const places = [...section.querySelectorAll(".scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
  section.replaceChildren(...other.childNodes);
  for (const each of section.querySelectorAll("details[id]")) if (open.has(each.id)) each.open = true;
  section.querySelectorAll(".scroll").forEach((each, n) => {
    if (places[n]) [each.scrollLeft, each.scrollTop] = places[n];
  });
}

const ids = (part) => [...part.querySelectorAll("[data-live][id]")].map((each) => each.id).join();

// Sections that have come or gone, as when something is known that was not, change the whole of it.
function renew(page) {
  const main = document.getElementById("main");
  const other = page.getElementById("main");
  if (ids(main) !== ids(other) && !busy(main)) return replace(main, other);
  for (const section of main.querySelectorAll("[data-live][id]")) {
    const own = page.getElementById(section.id);
    if (own) replace(section, own);
  }
}

// What is said is read out to who cannot see it: only when it is something else.
function say(text) {
  if (fresh.textContent !== text) fresh.textContent = text;
}

async function look() {
  if (paused || document.hidden) return;
  try {
    const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {}, cache: "no-store" });
    if (answer.redirected) return location.reload();
    if (answer.status !== 304) {
      if (!answer.ok) throw new Error(answer.status);
      tag = answer.headers.get("ETag");
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      renew(page);
      const count = document.getElementById("active-incidents");
      const now = page.getElementById("active-incidents");
      if (count && now) count.replaceWith(now);
    }
    looked.textContent = new Date().toLocaleTimeString();
    say("Live");
  } catch (error) {
    say("The server does not answer; what is shown stands still");
  }
}

// What a point of a chart says, beside the pointer; the same is in its title and in the table.
function tips() {
  let tip = null;
  document.addEventListener("pointerover", (event) => {
    tip?.remove();
    const hit = event.target.closest?.(".hit[data-text]");
    if (!hit) return;
    const figure = hit.closest("figure");
    if (!figure) return;
    tip = document.createElement("div");
    tip.className = "tip";
    tip.textContent = hit.dataset.text;
    figure.append(tip);
    const box = hit.getBoundingClientRect();
    const frame = figure.getBoundingClientRect();
    const left = Math.min(box.left - frame.left + box.width / 2 + 8, frame.width - tip.offsetWidth - 4);
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(0, box.top - frame.top + 4)}px`;
  });
}

zone();
tips();
if (document.querySelector("[data-live]")) {
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) say("Paused");
    else look();
  });
  say("Live");
  setInterval(look, EVERY);
}
