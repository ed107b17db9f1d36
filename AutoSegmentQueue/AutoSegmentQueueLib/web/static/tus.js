// A small client of tus 1.0 (https://tus.io/protocols/resumable-upload): chunks, checksums, and going on after anything.
import { Refused, csrf, reasonOf, sessionEnded } from "./core.js";

const FIRST = 1 << 20, LEAST = 1 << 18, MOST = 1 << 25, AIM_MS = 1500, LONGEST_WAIT_MS = 20000, STALLED_MS = 60000;
const AGAIN = new Set([0, 408, 409, 423, 425, 429, 460, 500, 502, 503, 504]);
const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

export class Upload {
  // file: File; meta: {key: text}; on: {progress(bytes), url(address), waiting(reason or null)}
  constructor(file, meta, on, url = null) {
    Object.assign(this, { file, meta, on, url, offset: 0, chunk: FIRST, job: null, stopped: false, request: null });
  }

  // Resolves when the server has all of it; rejects with Refused if it does not want it. stop() makes it resolve with false.
  async run() {
    this.stopped = false;
    let tries = 0, known = false;
    while (!this.stopped) {
      try {
        if (!known) { await this.locate(); known = true; }
        this.on.progress(this.offset);
        if (this.offset >= this.file.size && this.url) return true;
        await this.send();
        tries = 0;
        this.on.waiting(null);
      } catch (error) {
        if (this.stopped) break;
        if (error.status === 401) sessionEnded();
        const temporary = error instanceof Refused ? AGAIN.has(error.status) : true;
        if (error.status === 404 || error.status === 410) { this.url = null; if (tries++ > 3) throw error; known = false; continue; }
        if (!temporary) throw error;
        known = false; // what has arrived is asked for, never assumed
        this.chunk = Math.max(LEAST, this.chunk >> 1);
        this.on.waiting(error.status === 429 || error.status === 423 ? "The server is busy; waiting" : "The connection is lost; waiting for it");
        await this.pause(Math.min(LONGEST_WAIT_MS, 500 * 2 ** tries++) * (0.75 + Math.random() / 2), error.after);
      }
    }
    return false;
  }

  stop() { this.stopped = true; this.request?.abort(); this.wake?.(); }

  pause(milliseconds, after) {
    return new Promise((resolve) => {
      const wake = () => { clearTimeout(timer); removeEventListener("online", wake); resolve(); };
      const timer = setTimeout(wake, after ? after * 1000 : milliseconds);
      addEventListener("online", wake);
      this.wake = wake;
    });
  }

  async locate() {
    if (this.url) {
      const found = await fetch(this.url, { method: "HEAD", headers: { "Tus-Resumable": "1.0.0" }, cache: "no-store" });
      if (!found.ok) throw new Refused(found.status, `The server answered ${found.status}.`);
      this.offset = Number(found.headers.get("Upload-Offset"));
      this.job = found.headers.get("X-Job") || this.job;
      return;
    }
    const meta = Object.entries(this.meta).filter(([, value]) => value !== "" && value !== null && value !== undefined).map(([key, value]) => `${key} ${encode(String(value))}`).join(",");
    const body = this.file.slice(0, Math.min(this.file.size, this.chunk));
    const headers = { "Upload-Length": this.file.size, "Upload-Metadata": meta, ...(await this.head(body)) };
    const answer = await this.ask("POST", "/api/uploads", headers, body, 0);
    this.url = new URL(answer.getResponseHeader("Location"), location.href).pathname;
    this.offset = Number(answer.getResponseHeader("Upload-Offset") || 0);
    this.on.url(this.url);
  }

  async send() {
    const body = this.file.slice(this.offset, Math.min(this.file.size, this.offset + this.chunk));
    const began = performance.now();
    const answer = await this.ask("PATCH", this.url, { "Upload-Offset": this.offset, ...(await this.head(body)) }, body, this.offset);
    this.offset = Number(answer.getResponseHeader("Upload-Offset"));
    const took = performance.now() - began;
    if (body.size === this.chunk) this.chunk = Math.max(LEAST, Math.min(MOST, took < AIM_MS / 2 ? this.chunk * 2 : took > AIM_MS * 2 ? this.chunk >> 1 : this.chunk));
  }

  // The checksum needs the bytes in memory for a moment; without a secure connection the browser has no hash, and TCP's has to do.
  async head(body) {
    const headers = { "Content-Type": "application/offset+octet-stream" };
    if (crypto.subtle && body.size) {
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await body.arrayBuffer()));
      headers["Upload-Checksum"] = `sha256 ${btoa(String.fromCharCode(...digest))}`;
    }
    return headers;
  }

  ask(method, url, headers, body, from) {
    return new Promise((resolve, reject) => {
      const request = this.request = new XMLHttpRequest();
      let watchdog = 0;
      const alive = () => { clearTimeout(watchdog); watchdog = setTimeout(() => request.abort(), STALLED_MS); };
      request.open(method, url);
      for (const [key, value] of Object.entries({ "Tus-Resumable": "1.0.0", "X-CSRF-Token": csrf(), ...headers })) request.setRequestHeader(key, value);
      request.upload.onprogress = (event) => { alive(); this.on.progress(from + event.loaded); };
      request.onload = () => {
        this.job = request.getResponseHeader("X-Job") || this.job;
        request.status < 300 ? resolve(request) : reasonOf({ status: request.status, json: async () => JSON.parse(request.responseText) }).then((reason) => {
          reason.after = Number(request.getResponseHeader("Retry-After")) || 0;
          reject(reason);
        });
      };
      request.onerror = request.onabort = () => reject(new TypeError("no connection"));
      request.onloadend = () => clearTimeout(watchdog);
      alive();
      request.send(body);
    });
  }
}

export async function forget(url) {
  if (url) await fetch(url, { method: "DELETE", headers: { "Tus-Resumable": "1.0.0", "X-CSRF-Token": csrf() } }).catch(() => {});
}
