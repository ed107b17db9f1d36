// The page of one job: its state live, its buttons, and, when it is done, model and slices.
import { $, $$, Events, api, confirmed, el, ready, say, toast } from "./core.js";
import { STATES, isRunning, note, refreshTimes } from "./words.js";

const page = $("#job"), job = JSON.parse(page.dataset.job);
let state = job.state;
const ENDED = ["done", "failed", "quarantined", "cancelled"];

function update(row) {
  if (row.id !== job.id) return;
  if (row.state === "deleted") return deleted();
  if (row.state !== state && (ENDED.includes(row.state) || ENDED.includes(state))) return location.reload();
  state = row.state;
  const [word, color] = STATES[state] || [state, "off"];
  const badge = $(".jobhead .badge");
  badge.className = `badge ${color}`;
  badge.textContent = word;
  const bar = $("#bar");
  if (!bar) return;
  $("#state").className = `card state ${color}`;
  $("#state-title").textContent = word;
  $("#note").textContent = note(row);
  if (isRunning(state)) bar.value = row.progress || 0; else bar.removeAttribute("value");
  $("#percent").textContent = isRunning(state) ? `${Math.round(100 * (row.progress || 0))}%` : "";
  document.title = document.title.replace(/^(\d+% · )?/, isRunning(state) ? `${Math.round(100 * (row.progress || 0))}% · ` : "");
}
async function ask() {
  try { update(await api(`/api/jobs/${job.id}`)); } catch (error) { if (error.status === 404) deleted(); }
}
function deleted() {
  say(["This job has been deleted. ", el("a", { href: "/" }, "Back to the list")]);
  for (const button of $$("[data-act]")) button.disabled = true;
}
new Events(page.dataset.event, {
  job: update,
  gone: ({ id }) => { if (id === job.id) deleted(); },
  reload: ask,
  back: ask,
});

page.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-act]");
  if (!button) return;
  const act = button.dataset.act;
  if (act === "delete" && !await confirmed("Delete this job?", `The results of “${job.name}” are removed from the server. This cannot be undone.`, "Delete")) return;
  if (act === "cancel" && isRunning(state) && !await confirmed("Stop this job?", "What it has done so far is lost; the scan stays, and you can try again.", "Stop it")) return;
  button.disabled = true;
  try {
    if (act === "delete") { await api(`/api/jobs/${job.id}`, { method: "DELETE" }); location.assign("/"); return; }
    await api(`/api/jobs/${job.id}/${act}`, { method: "POST" });
    await ask();
  } catch (error) { toast(error.status ? error.message : "The server cannot be reached; try again."); }
  button.disabled = false;
});

ready();
// Hidden structures, opacity and choice are shared by model and slices.
if (state === "done") {
  const { Structures } = await import("./structures.js");
  const structures = new Structures($("#structures"), job.structures || []);
  if ($(".panes")) import("./slices.js").then(({ Slices }) => new Slices($(".slices"), job, structures));
  if ($("#stage")) import("./viewer.js").then(({ show }) => show($("#stage"), structures));
}
refreshTimes();
setInterval(refreshTimes, 20000);
