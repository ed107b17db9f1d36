// One job as a row of the list; pages_list.py makes the same on the server.
import { el } from "./core.js";
import { STATES, ago, isRunning, note } from "./words.js";

const about = (job) => [
  job.engine || job.kind, job.task && job.task !== "total" ? job.task : "", job.quality && job.quality !== "normal" ? job.quality : "", job.user === "local" ? "" : job.user,
].filter(Boolean).join(" · ");

function acts(job) {
  const can = job.can || {};
  return [
    can.cancel ? el("button", { type: "button", class: "plain", "data-act": "cancel", "aria-label": `Cancel ${job.name}` }, el("span", {}, "Cancel")) : null,
    can.retry ? el("button", { type: "button", class: "plain", "data-act": "retry", "aria-label": `Try ${job.name} again` }, el("span", {}, "Try again")) : null,
    job.state === "done" ? el("a", { class: "button plain", href: `/jobs/${job.id}`, "aria-label": `Open ${job.name}` }, "Open") : null,
  ].filter(Boolean);
}

export function makeRow(job) {
  const row = el("li", { class: "job", id: `job-${job.id}`, "data-id": job.id, "data-seq": job.seq },
    el("div", { class: "what" }, el("a", { class: "name", href: `/jobs/${job.id}` }, job.name), el("p", { class: "soft" })),
    el("div", { class: "how" }), el("div", { class: "when soft" }), el("div", { class: "acts" }));
  fillRow(row, job);
  return row;
}

// Only what differs is touched, so that focus and selection stay where they are.
export function fillRow(row, job) {
  const [what, how, when, buttons] = row.children;
  setText(what.lastElementChild, about(job));
  const [word, color] = STATES[job.state] || [job.state, "off"];
  let [badge, said, bar] = how.children;
  if (!badge) how.append(badge = el("span"), said = el("span", { class: "note" }));
  if (badge.className !== `badge ${color}`) badge.className = `badge ${color}`;
  setText(badge, word);
  setText(said, note(job));
  if (isRunning(job.state)) {
    if (!bar) how.append(bar = el("progress", { max: 1, "aria-label": `Progress of ${job.name}` }));
    bar.value = job.progress || 0;
  } else bar?.remove();
  const seconds = job.ended || job.created;
  if (when.dataset.at !== String(seconds)) {
    const date = new Date(seconds * 1000);
    when.dataset.at = seconds;
    when.replaceChildren(el("time", { datetime: date.toISOString() }, ago(date)));
  }
  const can = job.can || {}, key = [job.state === "done", can.cancel, can.retry].join();
  if (row.dataset.can !== key) {
    const had = buttons.contains(document.activeElement);
    row.dataset.can = key;
    buttons.replaceChildren(...acts(job));
    if (had) (buttons.firstElementChild || what.firstElementChild).focus();
  }
  row.dataset.state = job.state;
}
function setText(node, text) { if (node.textContent !== text) node.textContent = text; }
