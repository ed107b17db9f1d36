// How the pages say things, live; words.py says the same on the server.
export const STATES = {
  received: ["Waiting", "wait"], stabilising: ["Checking", "wait"], queued: ["Waiting", "wait"], leased: ["Starting", "run"], running: ["Running", "run"],
  validating: ["Checking", "run"], done: ["Done", "good"], failed: ["Failed", "bad"], quarantined: ["Put aside", "bad"], cancelled: ["Cancelled", "off"],
};
export const GROUPS = {
  "": [], waiting: ["received", "stabilising", "queued"], running: ["leased", "running", "validating"], done: ["done"], failed: ["failed", "quarantined"], cancelled: ["cancelled"],
};
export const isRunning = (state) => GROUPS.running.includes(state);

export function size(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let power = 0;
  while (count >= 999.5 && power < units.length - 1) { count /= 1000; power++; }
  return `${power < 2 || count >= 100 ? count.toFixed(0) : count.toFixed(1)} ${units[power]}`;
}
export function duration(seconds) {
  seconds = Math.max(0, Math.round(seconds));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes < 5 && seconds % 60 ? `${minutes} min ${seconds % 60} s` : `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}
export const ordinal = (position) => (position === 0 ? "next in line" : `${position} before it`);
export function note(job) {
  const eta = job.eta_seconds;
  if (isRunning(job.state)) {
    const stage = job.stage || "";
    return [stage && stage[0].toUpperCase() + stage.slice(1), eta === null || eta === undefined ? "" : `about ${duration(eta)} left`].filter(Boolean).join(" · ");
  }
  if (job.state === "queued") {
    const place = job.position === null || job.position === undefined ? "" : ordinal(job.position);
    return [place, eta === null || eta === undefined ? "" : `done in about ${duration(eta)}`].filter(Boolean).join(" · ");
  }
  if (job.state === "done") return job.run_seconds === null || job.run_seconds === undefined ? "" : `took ${duration(job.run_seconds)}`;
  return job.error || "";
}
const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
export function ago(date) {
  const seconds = (Date.now() - date) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  return date.toLocaleDateString(undefined, { day: "numeric", month: "short", year: "numeric" });
}
export function refreshTimes(root = document) {
  for (const node of root.querySelectorAll("time[datetime]")) {
    const date = new Date(node.dateTime);
    if (Number.isNaN(date.getTime())) continue;
    const text = node.closest(".history, .facts") ? clock.format(date) : ago(date);
    if (node.textContent !== text) node.textContent = text;
    if (!node.title) node.title = clock.format(date);
  }
}
