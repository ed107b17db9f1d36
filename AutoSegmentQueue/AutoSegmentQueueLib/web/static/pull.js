// Fetches of studies from a PACS: one line each, asked for every second until it has ended.
import { $, api, el, icon, isEnded, say } from "./core.js";

const form = $("#pull"), list = $("#pulls");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const given = new FormData(form), button = $("button", form);
  button.disabled = true;
  try {
    const pull = await api("/api/pull", { method: "POST", json: { source: given.get("source").trim(), study: given.get("study").trim() } });
    follow(pull, given.get("source"));
    form.elements.study.value = "";
  } catch (problem) {
    say(problem.message);
  } finally {
    button.disabled = false;
  }
});

function follow(pull, source) {
  const bar = el("progress", { "aria-label": "Fetched" }), text = el("p", { class: "said", role: "status" });
  const stop = el("button", { type: "button", class: "quiet", onclick: () => api(`/api/pull/${pull.id}`, { method: "DELETE" }).catch((problem) => say(problem.message)) }, "Stop");
  const line = el("li", { class: "up" }, icon("scan"), el("div", {}, el("p", { class: "name" }, source), text, bar), el("div", { class: "acts" }, stop));
  list.prepend(line);
  const show = (one) => {
    if (one.total) { bar.max = one.total; bar.value = one.done; } else bar.removeAttribute("value");
    text.textContent = sentence(one);
    if (one.state === "running") { setTimeout(again, 1000); return; }
    bar.remove(); stop.remove();
    line.classList.add(one.state === "done" ? "good" : "bad");
  };
  const again = () => api(`/api/pull/${pull.id}`).then(show, (problem) => { text.textContent = problem.message; if (!isEnded()) setTimeout(again, 5000); });
  show(pull);
}

function sentence(pull) {
  if (pull.state === "done") return "Fetched; its series are in the queue or on the way there.";
  if (pull.state === "cancelled") return "Stopped. What had come stays.";
  if (pull.state === "failed") return pull.error || "It failed.";
  return pull.stage || "Asking …";
}
