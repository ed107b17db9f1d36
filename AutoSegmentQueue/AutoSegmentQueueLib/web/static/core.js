// What all pages need: requests with the token, elements without innerHTML, messages, the stream of events.
export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
// Called by each page's script when it listens: what is pressed before would be lost.
export const ready = () => document.documentElement.classList.add("scripted");

export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key === "class" ? "class" : key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const sheet = $(".brand use")?.getAttribute("href").split("#")[0] || "";
export const icon = (name) => svg("svg", { class: "icon", "aria-hidden": "true", focusable: "false" }, svg("use", { href: `${sheet}#${name}` }));
export function setIcon(node, name) { $("use", node)?.setAttribute("href", `${sheet}#${name}`); }

export const csrf = () => $('meta[name="csrf-token"]')?.content || "";

export class Refused extends Error {
  constructor(status, message, code) { super(message); this.status = status; this.code = code; }
}
export async function reasonOf(response) {
  let body = {};
  try { body = await response.json(); } catch { /* not ours: a proxy's page */ }
  return new Refused(response.status, body.error || `The server answered ${response.status}.`, body.code || "");
}
export async function api(path, options = {}) {
  const headers = { Accept: "application/json", ...(options.method && options.method !== "GET" ? { "X-CSRF-Token": csrf() } : {}) };
  if (options.json !== undefined) { headers["Content-Type"] = "application/json"; options.body = JSON.stringify(options.json); }
  const response = await fetch(path, { ...options, headers: { ...headers, ...options.headers }, credentials: "same-origin", cache: "no-store" });
  if (response.status === 401) sessionEnded();
  if (!response.ok) throw await reasonOf(response);
  return response.status === 204 ? null : response.json();
}

let ended = false;
export function sessionEnded() {
  if (ended) return;
  ended = true;
  const next = encodeURIComponent(location.pathname + location.search);
  say(["Your session has ended. ", el("a", { href: `/login?next=${next}&why=expired` }, "Sign in again"), "; unfinished uploads go on afterwards."]);
}
export const isEnded = () => ended;

// The banner at the top: one message at a time, the session's end before everything.
export function say(content) {
  const banner = $("#banner");
  if (!banner || (ended && content && !Array.isArray(content))) return;
  banner.replaceChildren(...(Array.isArray(content) ? content : content ? [content] : []));
  banner.hidden = !content && !ended;
}
let toastTimer = 0;
export function toast(text) {
  $(".toast")?.remove();
  const node = el("div", { class: "toast", role: "status" }, text);
  document.body.append(node);
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => node.remove(), 6000);
}

export function confirmed(title, text, yes) {
  const dialog = $("#confirm");
  $("#confirm-title").textContent = title;
  $("#confirm-text").textContent = text;
  $("#confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

// Events of the server with replay: the browser sends Last-Event-ID itself; after a hard failure we go on from the last number we saw.
export class Events {
  constructor(after, handlers) {
    this.last = after; this.handlers = handlers; this.tries = 0; this.lostAt = 0;
    this.open();
    addEventListener("online", () => this.again(0));
    document.addEventListener("visibilitychange", () => { if (!document.hidden && this.source.readyState === EventSource.CLOSED) this.again(0); });
    addEventListener("pagehide", () => this.source.close());
    addEventListener("pageshow", (event) => { if (event.persisted) this.again(0); });
  }
  open() {
    const source = this.source = new EventSource(this.last ? `/api/events?after=${encodeURIComponent(this.last)}` : "/api/events");
    source.onopen = () => this.found();
    source.onerror = () => this.lost();
    for (const name of ["job", "queue", "gone", "reload"]) {
      source.addEventListener(name, (event) => {
        if (event.lastEventId) this.last = event.lastEventId;
        this.handlers[name]?.(event.data ? JSON.parse(event.data) : null);
      });
    }
  }
  found() {
    if (this.lostAt) this.handlers.back?.();
    this.tries = 0; this.lostAt = 0;
    clearTimeout(this.bannerTimer);
    say(null);
    showLive(true);
  }
  lost() {
    if (ended) return;
    if (!this.lostAt) {
      this.lostAt = Date.now();
      this.bannerTimer = setTimeout(() => say("The server cannot be reached. Trying again; nothing is lost."), 1500);
    }
    showLive(false);
    if (this.source.readyState === EventSource.CLOSED) this.again(Math.min(15000, 1000 * 2 ** this.tries++));
  }
  again(milliseconds) {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      if (ended) return;
      this.source.close();
      try { await api("/api/me"); } catch (error) { if (error.status === 401) return; return this.again(Math.min(15000, 1000 * 2 ** this.tries++)); }
      this.open();
    }, milliseconds);
  }
}
function showLive(on) {
  const live = $("#live");
  if (!live) return;
  live.hidden = false;
  live.classList.toggle("lost", !on);
  live.lastElementChild.textContent = on ? "Live" : "Reconnecting…";
}
