// The list of jobs: kept up to date by events, filtered and paged by the server; never more than what is shown is fetched.
import { $, $$, Events, api, el, icon, ready, setIcon, toast } from "./core.js";
import { fillRow, makeRow } from "./rows.js";
import { GROUPS, refreshTimes } from "./words.js";

const PAGE = 50, AGAIN_MS = 5000;
const section = $("#list"), list = $("#jobs"), more = $("#more"), search = $("#q");
const view = { group: section.dataset.state || "", q: section.dataset.q || "", next: section.dataset.next ? Number(section.dataset.next) : null };
let paused = $("#pause")?.dataset.paused !== undefined, asked = 0;

const matches = (job) => (!view.group || GROUPS[view.group].includes(job.state)) && (!view.q || job.name.toLowerCase().includes(view.q.toLowerCase()));

function query(after) {
  const parts = new URLSearchParams({ limit: PAGE });
  if (view.group) parts.set("state", GROUPS[view.group].join(","));
  if (view.q) parts.set("q", view.q);
  if (after) parts.set("after", after);
  return `/api/jobs?${parts}`;
}

async function load({ append = false, keep = false } = {}) {
  const mine = ++asked;
  try {
    const found = await api(query(append ? view.next : null));
    if (mine !== asked) return;
    if (keep) {
      for (const job of found.jobs) take(job);
    } else {
      const rows = found.jobs.map(makeRow);
      if (append) { list.append(...rows); rows[0]?.querySelector("a").focus({ preventScroll: true }); } else list.replaceChildren(...rows);
      view.next = found.next;
    }
    more.hidden = view.next === null;
    queue(found);
    empty();
  } catch (error) { if (error.status !== 401 && !keep) toast(error.status ? error.message : "The server cannot be reached; try again."); }
}

function take(job) {
  const row = document.getElementById(`job-${job.id}`);
  if (job.state === "deleted" || !matches(job)) { row?.remove(); return; }
  if (row) return fillRow(row, job);
  const last = list.lastElementChild;
  if (view.next !== null && last && job.seq < Number(last.dataset.seq)) return; // belongs to a page that is not shown
  const made = makeRow(job);
  made.classList.add("fresh");
  const before = $$(".job", list).find((one) => Number(one.dataset.seq) < job.seq);
  list.insertBefore(made, before || null);
}

function queue(state) {
  if (state.counts) {
    for (const chip of $$(".chip")) {
      const states = GROUPS[chip.dataset.group];
      const count = (states.length ? states : Object.keys(state.counts)).reduce((sum, one) => sum + (state.counts[one] || 0), 0);
      $("b", chip).textContent = count;
    }
  }
  if (state.paused !== undefined) showPaused(state.paused);
  if (state.intake !== undefined) showIntake(state.intake);
}
function showPaused(on) {
  paused = on;
  const button = $("#pause");
  if (button) { $("span", button).textContent = on ? "Go on" : "Pause the queue"; setIcon(button, on ? "play" : "pause"); }
  const place = $("#paused");
  if (!on) place.replaceChildren();
  else if (!place.firstChild) place.append(notice("pause", "The queue is paused.", "What runs goes on to its end; nothing new is started. Uploads are taken in and wait."));
}
function showIntake(text) {
  const place = $("#intake");
  if (!place) return;
  if (!text) place.replaceChildren();
  else if ($("b", place)?.textContent !== text) {
    place.replaceChildren(notice("alert", text, "What is queued already goes on. Uploads start again by themselves when there is room."));
  }
}
const notice = (symbol, title, text) => el("div", { class: "notice warn" }, icon(symbol), el("div", {}, el("b", {}, title), el("p", {}, text)));

function empty() {
  const place = $("#nothing"), none = !list.firstElementChild;
  if (!none) return place.replaceChildren();
  const filtered = view.group || view.q;
  const title = filtered ? "Nothing matches" : "Nothing here yet";
  const text = filtered ? "No job is in this state or has this name."
    : section.dataset.submit !== undefined ? "Bring a scan above: it is segmented here, and its 3D model appears in this list." : "As soon as somebody brings a scan, it appears in this list.";
  place.replaceChildren(el("div", { class: "empty" }, icon("empty"), el("h3", {}, title), el("p", { class: "soft" }, text)));
}

// Events come in bursts; they are shown once per frame.
const waiting = new Map();
let frame = 0, stale = 0;
function soon(job) {
  waiting.set(job.id, job);
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    for (const one of waiting.values()) take(one);
    waiting.clear();
    empty();
  });
}
// When one job ends, all behind it move up; their rows are fetched again, seldom, and only while somebody looks.
function placesMoved() {
  if (stale) return;
  stale = setTimeout(() => {
    stale = 0;
    if (!document.hidden && $('.job[data-state="queued"]', list)) load({ keep: true });
  }, AGAIN_MS);
}

new Events(section.dataset.event, {
  job: soon,
  queue: (state) => { queue(state); placesMoved(); },
  gone: ({ id }) => { waiting.delete(id); document.getElementById(`job-${id}`)?.remove(); empty(); },
  reload: () => load(),
  back: () => load({ keep: true }),
});

list.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  button.disabled = true;
  try {
    const answer = await api(`/api/jobs/${button.closest(".job").dataset.id}/${button.dataset.act}`, { method: "POST" });
    if (answer?.id && answer.state) take(answer);
  } catch (error) { toast(error.status ? error.message : "The server cannot be reached; try again."); }
  button.disabled = false;
});
more.addEventListener("click", (event) => { event.preventDefault(); load({ append: true }); });
$(".chips").addEventListener("click", (event) => {
  const chip = event.target.closest(".chip");
  if (!chip || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  view.group = chip.dataset.group;
  for (const one of $$(".chip")) one.toggleAttribute("aria-current", false);
  chip.setAttribute("aria-current", "true");
  remember();
});
let typing = 0;
search.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => { view.q = search.value.trim(); remember(); }, 200); });
$(".find").addEventListener("submit", (event) => { event.preventDefault(); view.q = search.value.trim(); remember(); });
function remember() {
  const parts = new URLSearchParams();
  if (view.group) parts.set("state", GROUPS[view.group].join(","));
  if (view.q) parts.set("q", view.q);
  history.replaceState(null, "", `/${parts.size ? `?${parts}` : ""}`);
  load();
}
$("#pause")?.addEventListener("click", async (event) => {
  const button = event.currentTarget;
  button.disabled = true;
  const wanted = !paused; // an event may change it before the answer is here
  try { await api(`/api/queue/${wanted ? "pause" : "resume"}`, { method: "POST" }); showPaused(wanted); } catch (error) { toast(error.message); }
  button.disabled = false;
});
refreshTimes();
setInterval(refreshTimes, 20000);
ready();
