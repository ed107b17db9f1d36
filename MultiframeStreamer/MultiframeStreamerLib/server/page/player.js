// Frames of one object: fetched in batches as multipart/related, kept as bitmaps within a bound, drawn on a canvas.

const BATCH = 8;              // frames asked for in one request
const IN_FLIGHT = 2;          // requests at a time: one is decoded while the next one arrives
const MEMORY = 192 * 2 ** 20; // bytes of bitmaps kept
const AHEAD = 32;             // frames fetched before they are needed

/** Splits a multipart body while it arrives; calls `part(headers, bytes)` for each complete part. */
export async function readMultipart(response, part) {
  const type = response.headers.get("content-type") || "";
  if (!/boundary=/.test(type)) throw new Error("the server's answer has no parts");
  const reader = response.body.getReader();
  const text = new TextDecoder();
  let held = new Uint8Array(0);
  const end = (bytes) => {
    for (let i = 0; i + 3 < bytes.length; i++) if (bytes[i] === 13 && bytes[i + 1] === 10 && bytes[i + 2] === 13 && bytes[i + 3] === 10) return i;
    return -1;
  };
  for (;;) {
    const { done, value } = await reader.read();
    if (value) {
      const joined = new Uint8Array(held.length + value.length);
      joined.set(held); joined.set(value, held.length);
      held = joined;
    }
    for (;;) {
      const at = end(held);
      if (at < 0) break;
      const headers = new Headers();
      for (const line of text.decode(held.subarray(0, at)).split("\r\n")) {
        const colon = line.indexOf(":");
        if (colon > 0 && !line.startsWith("--")) headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
      }
      const length = Number(headers.get("content-length"));
      if (!Number.isInteger(length) || held.length < at + 4 + length) break;
      part(headers, held.slice(at + 4, at + 4 + length));
      held = held.slice(at + 4 + length + 2);
    }
    if (done) return;
  }
}

export class Player extends EventTarget {
  /** `fetchFrames(list, signal)` returns the answer for frame numbers from 1. */
  constructor(canvas, count, bytesOfFrame, fetchFrames) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.count = count;
    this.fetchFrames = fetchFrames;
    this.capacity = Math.max(BATCH * (IN_FLIGHT + 1), Math.floor(MEMORY / Math.max(bytesOfFrame, 1)));
    this.bitmaps = new Map();   // frame -> ImageBitmap, in order of use
    this.errors = new Map();
    this.pending = new Set();
    this.requests = 0;
    this.generation = 0;
    this.abort = new AbortController();
    this.current = 1;
    this.direction = 1;
    this.playing = false;
    this.rate = 15;
    this.loop = true;
    this.shown = [];
  }

  close() { this.playing = false; this.forget(); }

  /** Drop everything fetched, for instance because the window changed. */
  forget() {
    this.generation++;
    this.abort.abort();
    this.abort = new AbortController();
    for (const bitmap of this.bitmaps.values()) bitmap.close();
    this.bitmaps.clear(); this.errors.clear(); this.pending.clear();
    this.requests = 0;
  }

  go(frame) {
    const wanted = Math.min(Math.max(Math.round(frame), 1), this.count);
    this.direction = wanted < this.current ? -1 : 1;
    this.current = wanted;
    this.show();
  }

  show() {
    const bitmap = this.bitmaps.get(this.current);
    if (bitmap) {
      this.bitmaps.delete(this.current); this.bitmaps.set(this.current, bitmap);
      if (this.canvas.width !== bitmap.width || this.canvas.height !== bitmap.height) { this.canvas.width = bitmap.width; this.canvas.height = bitmap.height; }
      this.context.drawImage(bitmap, 0, 0);
      const now = performance.now();
      this.shown = this.shown.filter((time) => now - time < 1000); this.shown.push(now);
    }
    else if (this.errors.has(this.current)) {  // the picture before must not pass for this one
      this.context.fillStyle = "#000";
      this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    }
    this.dispatchEvent(new CustomEvent("frame", { detail: { frame: this.current, drawn: Boolean(bitmap), error: this.errors.get(this.current) } }));
    this.fill();
  }

  play() {
    if (this.playing) return;
    this.playing = true; this.direction = 1; this.due = performance.now();
    if (this.current === this.count) this.current = 1;
    requestAnimationFrame((now) => this.tick(now));
  }

  pause() { this.playing = false; }

  tick(now) {
    if (!this.playing) return;
    const step = 1000 / this.rate;
    if (now >= this.due) {
      const known = this.bitmaps.has(this.current) || this.errors.has(this.current);
      if (known) {
        this.due = Math.max(this.due + step, now - step);
        const next = this.current + 1;
        if (next > this.count && !this.loop) { this.playing = false; this.dispatchEvent(new Event("end")); return; }
        this.current = next > this.count ? 1 : next;
      }
      this.show();
    }
    requestAnimationFrame((time) => this.tick(time));
  }

  /** Ask for what will be needed next, nearest first. */
  fill() {
    const wanted = [];
    const reach = Math.min(AHEAD, this.count, this.capacity - 1);
    for (let i = 0; i < reach; i++) {
      let frame = this.current + i * this.direction;
      if (frame > this.count || frame < 1) { if (!this.loop) break; frame = frame < 1 ? frame + this.count : frame - this.count; }
      if (!this.bitmaps.has(frame) && !this.pending.has(frame) && !this.errors.has(frame)) wanted.push(frame);
    }
    while (wanted.length && this.requests < IN_FLIGHT) {
      const first = !this.bitmaps.size && !this.pending.size;  // the very first frame comes alone, so that it comes soon
      this.fetch(wanted.splice(0, first ? 1 : BATCH));
    }
  }

  async fetch(list) {
    const generation = this.generation;
    list.forEach((frame) => this.pending.add(frame));
    this.requests++;
    const decoding = [];
    try {
      const response = await this.fetchFrames(list, this.abort.signal);
      if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error || `the server answers ${response.status}`);
      let at = 0;
      await readMultipart(response, (headers, bytes) => decoding.push(this.keep(list[at++], headers, bytes, generation)));
      await Promise.all(decoding);
      if (at < list.length) throw new Error("the answer ended early");
    } catch (error) {
      if (generation !== this.generation || error.name === "AbortError") return;
      for (const frame of list) if (!this.bitmaps.has(frame)) this.errors.set(frame, error.message);
      if (list.includes(this.current)) this.show();
    } finally {
      if (generation === this.generation) {
        this.requests--;
        list.forEach((frame) => this.pending.delete(frame));
        this.fill();
      }
    }
  }

  async keep(frame, headers, bytes, generation) {
    const type = headers.get("content-type") || "";
    let bitmap = null, problem = "";
    if (type.startsWith("image/")) bitmap = await createImageBitmap(new Blob([bytes], { type })).catch(() => null);
    else problem = JSON.parse(new TextDecoder().decode(bytes)).error;
    if (generation !== this.generation) { bitmap?.close(); return; }
    this.pending.delete(frame);
    if (!bitmap) this.errors.set(frame, problem || "the picture of this frame is damaged");
    else {
      this.bitmaps.set(frame, bitmap);
      while (this.bitmaps.size > this.capacity) {
        const oldest = this.bitmaps.keys().next().value;
        this.bitmaps.get(oldest).close(); this.bitmaps.delete(oldest);
      }
    }
    this.dispatchEvent(new Event("ready"));
    if (frame === this.current && !this.playing) this.show();
  }
}
