// The upload area: units (a file, or a folder of DICOM) in a list, sent a few files at a time, paused, resumed, found again after a reload.
import { $, Refused, api, el, icon, setIcon, toast } from "./core.js";
import { drop, keep, keepHandle, keptHandle, readKept } from "./kept.js";
import { fingerprint, fromDrop, fromInput, sort, walkHandle } from "./picked.js";
import { Upload, forget } from "./tus.js";
import { duration, size } from "./words.js";

const FINAL = [400, 413, 415, 422]; // trying again gives the same answer
const AT_ONCE = 3, SPEED_MS = 4000, AGAIN_MS = 15000;
const zone = $("#zone"), list = $("#uploads"), form = $("#upload");
const said = el("div", { class: "sr", role: "status" });
form.after(said);
const units = [];
const newId = () => [...crypto.getRandomValues(new Uint8Array(12))].map((one) => one.toString(16).padStart(2, "0")).join("");

class Unit {
  constructor({ id, name, batch, options, files, at }) {
    Object.assign(this, { id: id || newId(), name, batch, options, files, at: at || Date.now(), state: "waiting", error: "", reason: "", job: null, marks: [], running: new Set() });
    this.total = files.reduce((sum, one) => sum + one.size, 0);
    this.build();
  }
  get sent() { return this.files.reduce((sum, one) => sum + (one.done ? one.size : one.sent || 0), 0); }
  get left() { return this.files.filter((one) => !one.done); }

  build() {
    this.bar = el("progress", { max: 1, "aria-label": `Upload of ${this.name}` });
    this.text = el("p", { class: "said" });
    this.title = el("p", { class: "name" }, this.name);
    this.toggle = this.button("pause", "Pause", () => this.flip());
    this.remove = this.button("close", "Remove", () => this.discard());
    this.symbol = icon(this.batch ? "folder" : "file");
    this.row = el("li", { class: "up", "data-name": this.name }, this.symbol, el("div", {}, this.title, this.text, this.bar), el("div", { class: "acts" }, this.toggle, this.remove));
    list.append(this.row);
    this.show();
  }
  button(symbol, word, act) {
    return el("button", { type: "button", class: "plain iconly", title: word, "aria-label": `${word}: ${this.name}`, onclick: act }, icon(symbol), el("span", { class: "sr" }, word));
  }
  name_(button, symbol, word) {
    setIcon(button, symbol);
    button.title = word;
    button.setAttribute("aria-label", `${word}: ${this.name}`);
    $("span", button).textContent = word;
  }

  set(state, more = {}) {
    Object.assign(this, { state, error: "", reason: "", status: 0 }, more);
    this.show();
    if (state === "done" || state === "refused") said.textContent = state === "done" ? `${this.name} is uploaded.` : `${this.name} was refused: ${this.error}`;
  }
  show() {
    const { state } = this, share = this.total ? this.sent / this.total : 0;
    this.row.className = `up ${{ done: "good", refused: "bad", lost: "hold", paused: "hold" }[state] || (this.reason ? "hold" : "")}`;
    this.row.dataset.state = state;
    this.bar.hidden = state === "done" || state === "refused";
    if (state === "finishing") this.bar.removeAttribute("value"); else this.bar.value = share;
    this.words();
    setIcon(this.symbol, state === "done" ? "check" : state === "refused" ? "alert" : this.batch ? "folder" : "file");
    this.toggle.hidden = ["done", "finishing"].includes(state) || (state === "refused" && FINAL.includes(this.status));
    const [symbol, word] = { paused: ["play", "Go on"], lost: ["play", "Go on"], refused: ["retry", "Try again"] }[state] || ["pause", "Pause"];
    this.name_(this.toggle, symbol, word);
    this.name_(this.remove, "close", state === "done" ? "Hide" : "Remove");
  }
  words() {
    const amount = `${size(this.sent)} of ${size(this.total)}`;
    const count = this.batch ? ` · ${this.files.length - this.left.length} of ${this.files.length} files` : "";
    const lines = {
      waiting: () => `${size(this.total)}${this.batch ? ` · ${this.files.length} files` : ""} · waiting`,
      sending: () => (this.reason ? `${amount} · ${this.reason}` : `${amount}${count}${this.rate()}`),
      paused: () => `${amount}${count} · paused`,
      lost: () => `${amount}${count} · ${this.handle ? "not finished; press Go on" : `not finished; choose the same ${this.batch ? "folder" : "file"} again to go on`}`,
      finishing: () => `${size(this.total)} · being checked`,
      refused: () => this.error,
      done: () => `${size(this.total)} · uploaded`,
    };
    const text = lines[this.state]();
    if (this.state === "done" && this.job) this.text.replaceChildren(`${text} · `, el("a", { href: `/jobs/${this.job}` }, "see the job"));
    else if (this.text.textContent !== text) this.text.textContent = text;
  }
  rate() {
    const now = performance.now();
    this.marks.push([now, this.sent]);
    while (this.marks.length > 2 && now - this.marks[0][0] > SPEED_MS) this.marks.shift();
    const [began, from] = this.marks[0];
    const speed = (this.sent - from) / Math.max(now - began, 1) * 1000;
    if (now - began < 500 || speed <= 0) return "";
    return ` · ${size(speed)}/s · ${duration((this.total - this.sent) / speed)} left`;
  }
  progress() { this.frame ||= requestAnimationFrame(() => { this.frame = 0; if (this.state === "sending") { this.bar.value = this.total ? this.sent / this.total : 0; this.words(); } }); }

  keep() {
    const files = this.files.map(({ rel, size: bytes, mtime, url, done }) => ({ rel, size: bytes, mtime, url, done }));
    keep({ id: this.id, name: this.name, batch: this.batch, options: this.options, files, at: this.at });
  }
  flip() {
    if (this.state === "lost") return this.find();
    if (this.state === "paused" || this.state === "refused") this.resume();
    else { this.set("paused"); for (const one of this.running) one.stop(); }
  }
  resume() { this.marks = []; this.set("waiting"); pump(); }
  // After a reload: a kept handle gives the files back, otherwise a person has to.
  async find() {
    try {
      if (!this.handle) throw new Error("no handle");
      if (await this.handle.requestPermission({ mode: "read" }) !== "granted") throw new Error("not granted");
      const entries = this.handle.kind === "directory" ? await walkHandle(this.handle) : [{ file: await this.handle.getFile(), rel: this.handle.name }];
      if (!this.adopt(entries)) toast(`${this.name} has changed since; remove it here and upload it anew.`);
    } catch { (this.batch ? $("#folder") : $("#files")).click(); }
  }
  // Takes the files if every unfinished one is among them.
  adopt(entries) {
    const given = new Map(entries.map((one) => [fingerprint(one), one.file]));
    const loose = new Map(entries.map((one) => [`${one.rel}|${one.file.size}`, one.file]));
    const found = this.left.map((one) => [one, one.mtime ? given.get(`${one.rel}|${one.size}|${one.mtime}`) : loose.get(`${one.rel}|${one.size}`)]);
    if (!found.length && !this.batch) return false;
    if (found.some(([, file]) => !file)) return false;
    for (const [one, file] of found) one.file = file;
    this.resume();
    return true;
  }
  async discard() {
    const finished = this.state === "done";
    this.set("paused");
    for (const one of this.running) one.stop();
    this.gone = true;
    const next = this.row.nextElementSibling || this.row.previousElementSibling;
    this.row.remove();
    (next ? $("button", next) : $("#files")).focus();
    units.splice(units.indexOf(this), 1);
    drop(this.id);
    if (!finished) await Promise.all(this.files.filter((one) => one.url).slice(0, 5000).map((one) => forget(one.url)));
  }

  async send(one) {
    const meta = { filename: one.rel.split("/").pop(), relativepath: this.batch ? one.rel : "", batch: this.batch || "", ...this.options };
    const upload = new Upload(one.file, meta, {
      progress: (bytes) => { one.sent = bytes; this.progress(); },
      url: (address) => { one.url = address; this.keep(); },
      waiting: (reason) => { if (this.reason !== (reason || "")) { this.reason = reason || ""; this.show(); } },
    }, one.url);
    one.upload = upload;
    this.running.add(upload);
    try {
      if (await upload.run()) { one.done = true; this.job = upload.job || this.job; this.keep(); }
    } catch (error) {
      one.url = upload.url;
      this.refused(error);
    }
    this.running.delete(upload);
    one.upload = null;
    if (!this.gone && this.state === "sending" && !this.left.length) await this.finish();
    pump();
  }
  refused(error) {
    for (const one of this.running) one.stop();
    if (error.status === 507 && error.code !== "quota") { // a full disk is waited for
      this.set("sending", { reason: `${error.message.replace(/\.$/, "")}; waiting for room` });
      this.holdUntil = Date.now() + AGAIN_MS;
      setTimeout(pump, AGAIN_MS + 50);
      return;
    }
    if (this.state !== "paused" || !this.gone) this.set(error.status === 401 ? "paused" : "refused", { error: error.message, status: error.status });
  }
  async finish() {
    if (this.batch) {
      this.set("finishing");
      try {
        const answer = await api(`/api/batches/${this.batch}`, { method: "POST", json: { files: this.files.length, name: this.name, ...this.options } });
        this.job = answer.jobs?.[0]?.id || null;
      } catch (error) {
        if (error instanceof Refused && error.status < 500) return this.set("refused", { error: error.message });
        this.set("sending", { reason: "The connection is lost; waiting for it" });
        this.holdUntil = Date.now() + 2000;
        return void setTimeout(pump, 2050);
      }
    }
    drop(this.id);
    this.set("done");
  }
}

function pump() {
  let busy = units.reduce((sum, unit) => sum + unit.running.size, 0);
  for (const unit of units) {
    if (!["waiting", "sending"].includes(unit.state) || (unit.holdUntil || 0) > Date.now()) continue;
    if (!unit.left.length && !unit.running.size) { unit.state = "sending"; unit.finish(); continue; }
    for (const one of unit.left) {
      if (busy >= AT_ONCE) return;
      if (one.upload || !one.file) continue;
      if (unit.state === "waiting") unit.set("sending");
      one.upload = true;
      busy++;
      unit.send(one);
    }
  }
}

const options = () => Object.fromEntries(["engine", "task", "quality"].map((name) => [name, $(`#${name}`)?.value || ""]).filter(([, value]) => value));
function add({ units: found, left, wrong }) {
  const entries = found.flatMap((unit) => unit.files);
  for (const old of units.filter((unit) => unit.state === "lost")) old.adopt(old.batch ? found.find((unit) => unit.folder && unit.name === old.name)?.files || [] : entries);
  for (const one of found) {
    const known = units.find((unit) => unit.state !== "done" && unit.name === one.name && Boolean(unit.batch) === one.folder && unit.total === one.files.reduce((sum, file) => sum + file.file.size, 0));
    if (known) continue; // it is on its way already
    const files = one.files.map((file) => ({ file: file.file, rel: file.rel, size: file.file.size, mtime: file.file.lastModified, sent: 0, done: false, url: null }));
    const unit = new Unit({ name: one.name, batch: one.folder ? newId() : null, options: options(), files });
    units.push(unit);
    unit.keep();
    keepHandle(unit.id, one.handle);
  }
  if (wrong.length) toast(wrong.length === 1 ? `${wrong[0]} is no scan. NIfTI, NRRD, DICOM or a zip of it is wanted.` : `${wrong.length} of these are no scans and were left out: ${wrong.slice(0, 3).join(", ")}${wrong.length > 3 ? " …" : ""}`);
  else if (left.length) said.textContent = `${left.length} files in the folder are no images and were left out.`;
  pump();
}

for (const input of [$("#files"), $("#folder")]) {
  input.addEventListener("change", () => { add(fromInput(input)); input.value = ""; });
}
let depth = 0;
const over = (on) => zone.classList.toggle("over", on);
addEventListener("dragenter", (event) => { if ([...event.dataTransfer.types].includes("Files")) { event.preventDefault(); depth++; over(true); } });
addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); over(depth > 0); });
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", async (event) => { event.preventDefault(); depth = 0; over(false); add(await fromDrop(event.dataTransfer)); });
form.addEventListener("submit", (event) => event.preventDefault());

const engines = JSON.parse(form.dataset.engines || "[]");
const WORDS = { normal: "Normal", fast: "Fast", faster: "Fastest" };
$("#engine").addEventListener("change", (event) => {
  const engine = engines.find((one) => one.name === event.target.value) || {};
  for (const [id, values, words] of [["task", engine.tasks || [], {}], ["quality", engine.qualities || [], WORDS]]) {
    $(`#${id}`).replaceChildren(...values.map((value) => el("option", { value }, words[value] || value)));
    $(`#${id}`).closest(".field").hidden = values.length < 2;
  }
});

// Unfinished ones from before: our own notes, and what the server still holds.
async function restore() {
  const kept = readKept();
  let held = [];
  try { held = await api("/api/uploads"); held = Array.isArray(held) ? held : held.uploads || []; } catch { /* shown from our notes alone */ }
  const offsets = new Map(held.map((one) => [new URL(one.url, location.href).pathname, one]));
  for (const old of kept) {
    const unit = new Unit(old);
    for (const one of unit.files) one.sent = one.done ? one.size : offsets.get(one.url)?.offset || 0;
    unit.handle = await keptHandle(old.id);
    units.push(unit);
    unit.keep();
    for (const one of unit.files) offsets.delete(one.url);
    if (unit.left.length) unit.set("lost"); else unit.resume();
  }
  for (const [url, one] of offsets) {
    if (one.batch || one.offset >= one.length) continue;
    const unit = new Unit({ name: one.filename, batch: null, options: {}, files: [{ rel: one.filename, size: one.length, mtime: 0, url, done: false, sent: one.offset }] });
    units.push(unit);
    unit.set("lost");
  }
}
restore();
export { add, sort, units };
