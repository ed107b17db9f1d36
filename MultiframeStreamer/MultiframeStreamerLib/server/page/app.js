// The page of the server: lists what is served and plays it.
import { Player } from "/player.js";

const ROOT = "/dicomweb";
const PAGE = 200;  // objects listed at a time
const $ = (id) => document.getElementById(id);
const token = { value: new URLSearchParams(location.hash.slice(1)).get("token") || sessionStorage.getItem("token") || "" };
let player = null, view = null, chosen = null;

function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  if (token.value) headers.set("Authorization", `Bearer ${token.value}`);
  return fetch(path, { ...options, headers });
}

async function json(path) {
  const response = await ask(path, { headers: { Accept: "application/dicom+json, application/json" } });
  if (response.status === 401) { await login(); return json(path); }
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error || `the server answers ${response.status}`);
  return response.json();
}

function login() {
  return new Promise((resolve) => {
    $("login").addEventListener("close", () => { token.value = $("token").value; sessionStorage.setItem("token", token.value); resolve(); }, { once: true });
    $("login").showModal();
  });
}

const value = (object, tag) => object[tag]?.Value?.[0];
const day = (text) => (text && text.length === 8 ? `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}` : "");
const megabytes = (bytes) => (bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`);

async function list(offset = 0) {
  const found = await json(`${ROOT}/instances?limit=${PAGE + 1}&offset=${offset}`);
  const nav = $("list");
  for (const object of found.slice(0, PAGE)) {
    const study = value(object, "0020000D");
    if (nav.dataset.study !== study) {
      nav.dataset.study = study;
      const title = document.createElement("h2");
      title.textContent = [value(object, "00081030") || "Study", day(value(object, "00080020"))].filter(Boolean).join(", ");
      nav.append(title);
    }
    nav.append(entry(object));
  }
  if (found.length > PAGE) {
    const more = document.createElement("button");
    more.type = "button"; more.textContent = "Show more";
    more.addEventListener("click", () => { more.remove(); list(offset + PAGE); });
    nav.append(more);
  }
  $("summary").textContent = offset || found.length ? `${nav.querySelectorAll("button[data-sop]").length} objects` : "nothing is served";
  if (!offset && found.length) nav.querySelector("button").click();
}

function entry(object) {
  const button = document.createElement("button");
  const address = `${ROOT}/studies/${value(object, "0020000D")}/series/${value(object, "0020000E")}/instances/${value(object, "00080018")}`;
  button.type = "button"; button.dataset.sop = value(object, "00080018");
  const picture = document.createElement("img");
  picture.alt = ""; picture.loading = "lazy"; picture.width = 64; picture.height = 64;
  thumbnails.observe(picture); picture.dataset.address = `${address}/thumbnail`;
  const text = document.createElement("span");
  const title = document.createElement("b"), detail = document.createElement("small");
  title.textContent = value(object, "0008103E") || `${value(object, "00080060") || "Series"} ${value(object, "00200011") ?? ""}`;
  detail.textContent = `${value(object, "00280008") || 1} frames, ${value(object, "00280011") || "?"} × ${value(object, "00280010") || "?"}`;
  text.append(title, detail); button.append(picture, text);
  button.addEventListener("click", () => open(button, address));
  return button;
}

const thumbnails = new IntersectionObserver((entries) => {
  for (const each of entries.filter((e) => e.isIntersecting)) {
    thumbnails.unobserve(each.target);
    ask(each.target.dataset.address).then((r) => (r.ok ? r.blob() : null)).then((blob) => {
      if (!blob) return;
      each.target.src = URL.createObjectURL(blob);
      each.target.onload = () => URL.revokeObjectURL(each.target.src);
    });
  }
});

async function open(button, address) {
  document.querySelectorAll("nav [aria-current]").forEach((b) => b.removeAttribute("aria-current"));
  button.setAttribute("aria-current", "true");
  player?.close();
  chosen = address; view = null;
  $("broken").hidden = true; $("empty").hidden = true;
  let facts;
  try { facts = await json(`/facts/${button.dataset.sop}`); } catch (error) {
    if (chosen !== address) return;
    $("controls").hidden = true; $("broken").hidden = false; $("broken").textContent = error.message;
    $("canvas").getContext("2d").clearRect(0, 0, $("canvas").width, $("canvas").height);
    return;
  }
  if (chosen !== address) return;
  start(address, facts);
  $("viewer").focus({ preventScroll: true });
}

function start(address, facts) {
  const current = new Player($("canvas"), facts.frames, facts.rows * facts.columns * 4, (frames, signal) => {
    const window = view ? `?window=${view.level},${view.width},linear` : "";
    return ask(`${address}/frames/${frames.join(",")}/rendered${window}`, { signal, headers: { Accept: 'multipart/related; type="image/jpeg"' } });
  });
  player = current;
  current.rate = facts.rate; current.loop = $("loop").checked;
  $("controls").hidden = false;
  $("position").max = $("number").max = facts.frames;
  $("count").textContent = `of ${facts.frames}`;
  $("rate").value = +facts.rate.toFixed(2);
  $("windowing").hidden = facts.samples > 1 || facts.photometric === "PALETTE COLOR" || facts.bits_stored < 8;
  const [level, width] = facts.window || [facts.values[0] + facts.values[1] / 2, facts.values[1]];
  current.fileWindow = { level, width };
  $("level").value = level; $("width").value = width;
  show(facts);
  current.addEventListener("frame", ({ detail }) => {
    if (current !== player) return;
    $("position").value = $("number").value = detail.frame;
    $("broken").hidden = !detail.error;
    $("broken").textContent = detail.error ? `Frame ${detail.frame} cannot be shown: ${detail.error}` : "";
    $("play").textContent = current.playing ? "Pause" : "Play";
    $("speed").textContent = current.playing ? `${current.shown.length} frames/s shown` : "";
    document.body.dataset.frame = detail.drawn ? detail.frame : "";
  });
  current.addEventListener("ready", () => current === player && bar());
  current.addEventListener("end", () => { $("play").textContent = "Play"; });
  bar(); current.go(1);
}

function show(facts) {
  const rows = [["Frames", `${facts.frames} of ${facts.columns} × ${facts.rows}, ${facts.bits_stored} bits, ${facts.photometric}`],
    ["Coding", facts.transfer_syntax_name], ["Size", megabytes(facts.bytes)], ["Rate", `${facts.rate} frames/s (${facts.rate_source})`],
    ["Offset table", `${facts.offset_table}; index from ${facts.index_from}`], ["Health", facts.health.join("; ") || "nothing unusual"]];
  if (facts.broken_frames.length) rows.push(["Damaged frames", facts.broken_frames.slice(0, 30).join(", ")]);
  $("facts").replaceChildren(...rows.flatMap(([name, text]) => {
    const term = document.createElement("dt"), detail = document.createElement("dd");
    term.textContent = name; detail.textContent = text;
    if ((name === "Health" && facts.health.length) || name === "Damaged frames") detail.className = "warn";
    return [term, detail];
  }));
}

let barPlanned = false;
function bar() {
  if (barPlanned) return;
  barPlanned = true;
  setTimeout(() => {
    barPlanned = false;
    const have = [...player.bitmaps.keys()].sort((a, b) => a - b), runs = [];
    for (const frame of have) { const last = runs.at(-1); if (last && frame === last[1] + 1) last[1] = frame; else runs.push([frame, frame]); }
    $("ready").replaceChildren(...runs.slice(0, 200).map(([a, b]) => {
      const mark = document.createElement("i");
      mark.style.left = `${(100 * (a - 1)) / player.count}%`; mark.style.width = `${Math.max((100 * (b - a + 1)) / player.count, 0.2)}%`;
      return mark;
    }));
  }, 100);
}

function toggle() { if (!player) return; player.playing ? player.pause() : player.play(); $("play").textContent = player.playing ? "Pause" : "Play"; if (!player.playing) $("speed").textContent = ""; }
function step(count) { if (!player) return; player.pause(); player.go(player.current + count); }
function setWindow(level, width) {
  if (!player || $("windowing").hidden) return;
  view = { level: Math.round(level * 100) / 100, width: Math.max(1, Math.round(width * 100) / 100) };
  $("level").value = view.level; $("width").value = view.width;
  player.forget(); player.show();
}
function resetWindow() { if (!player) return; view = null; $("level").value = player.fileWindow.level; $("width").value = player.fileWindow.width; player.forget(); player.show(); }

$("play").addEventListener("click", toggle);
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("position").addEventListener("input", (event) => { player?.pause(); player?.go(+event.target.value); });
$("number").addEventListener("change", (event) => { player?.pause(); player?.go(+event.target.value); });
$("rate").addEventListener("change", (event) => { if (player && +event.target.value > 0) player.rate = Math.min(+event.target.value, 120); });
$("loop").addEventListener("change", (event) => { if (player) player.loop = event.target.checked; });
$("level").addEventListener("change", () => setWindow(+$("level").value, +$("width").value));
$("width").addEventListener("change", () => setWindow(+$("level").value, +$("width").value));
$("reset").addEventListener("click", resetWindow);
$("stage").addEventListener("wheel", (event) => { event.preventDefault(); step(Math.sign(event.deltaY)); }, { passive: false });

let drag = null;
$("canvas").addEventListener("pointerdown", (event) => {
  if ($("windowing").hidden || event.button) return;
  drag = { x: event.clientX, y: event.clientY, level: +$("level").value, width: +$("width").value };
  $("canvas").setPointerCapture(event.pointerId);
});
$("canvas").addEventListener("pointermove", (event) => {
  if (!drag) return;
  const unit = Math.max(drag.width, 1) / 300;
  clearTimeout(drag.timer);
  const level = drag.level + (event.clientY - drag.y) * unit, width = drag.width + (event.clientX - drag.x) * unit;
  drag.timer = setTimeout(() => setWindow(level, width), 40);
});
$("canvas").addEventListener("pointerup", () => { drag = null; });

document.addEventListener("keydown", (event) => {
  if (!player || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA)$/.test(event.target.tagName) && event.target.type !== "range") return;
  const actions = { " ": toggle, ArrowLeft: () => step(-1), ArrowRight: () => step(1), ArrowUp: () => step(-1), ArrowDown: () => step(1), PageUp: () => step(-10), PageDown: () => step(10),
    Home: () => step(-player.count), End: () => step(player.count), r: resetWindow, R: resetWindow };
  if (event.key === " " && event.target.tagName === "BUTTON" && event.target.id !== "play") return;
  const action = actions[event.key];
  if (action) { event.preventDefault(); action(); }
});

list().catch((error) => { $("summary").textContent = error.message; });
