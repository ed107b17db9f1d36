// Three slices of the scan with the structures over them, coloured here: what is hidden in the model is hidden in the slices too.
import { $, $$ } from "./core.js";
import { describe } from "./structures.js";

const FILL = 0.45, EDGE = 0.95, KEPT = 60;
const NEXT = { axial: ["sagittal", "coronal"], coronal: ["sagittal", "axial"], sagittal: ["coronal", "axial"] }; // across, down
const UPWARD = { axial: false, coronal: true, sagittal: true }; // rows run against the slices of the axis they cross

export class Slices {
  constructor(section, job, structures) {
    Object.assign(this, { url: job.previews.url, axes: job.previews.axes, structures, window: "", strength: 0.7 });
    this.panes = Object.fromEntries($$(".pane", section).map((node) => [node.dataset.axis, new Pane(node, this)]));
    $("#overlay").addEventListener("input", (event) => { this.strength = event.target.value / 100; this.paint(); });
    $("#window")?.addEventListener("change", (event) => { this.window = event.target.value; for (const pane of this.all) pane.show(); });
    structures.addEventListener("change", () => this.paint());
    structures.addEventListener("choose", ({ detail: { one, from } }) => {
      if (one?.center_slices && from !== "slices") for (const pane of this.all) pane.show(one.center_slices[pane.axis]);
      this.paint();
    });
    for (const pane of this.all) pane.show();
  }
  get all() { return Object.values(this.panes); }
  paint() { for (const pane of this.all) pane.paint(); }
}

class Pane {
  constructor(node, slices) {
    Object.assign(this, { node, slices, axis: node.dataset.axis, pictures: new Map() });
    this.count = slices.axes[this.axis].count;
    this.slider = $("input", node);
    this.number = Number(this.slider.value);
    const image = $("img", node);
    this.canvas = document.createElement("canvas");
    this.canvas.width = slices.axes[this.axis].width;
    this.canvas.height = slices.axes[this.axis].height;
    this.canvas.setAttribute("role", "img");
    this.image = image;
    this.slider.addEventListener("input", () => this.show(Number(this.slider.value)));
    this.canvas.addEventListener("pointermove", (event) => { this.say(event); if (event.buttons & 1) this.go(event); });
    this.canvas.addEventListener("pointerleave", () => { $(".under", node).textContent = ""; });
    this.canvas.addEventListener("click", (event) => this.go(event));
    this.canvas.addEventListener("wheel", (event) => { event.preventDefault(); this.show(this.number + (event.deltaY > 0 ? -1 : 1)); }, { passive: false });
  }
  address(number) { return `${this.slices.url}/${this.axis}/${number}.png?overlay=2${this.slices.window ? `&window=${encodeURIComponent(this.slices.window)}` : ""}`; }

  async show(number = this.number) {
    this.number = Math.max(0, Math.min(this.count - 1, number));
    this.slider.value = this.number;
    this.slider.setAttribute("aria-valuetext", `${this.number + 1} of ${this.count}`);
    $(".number", this.node).textContent = `${this.number + 1} / ${this.count}`;
    const address = this.address(this.number);
    this.wanted = address;
    try {
      const data = await this.fetch(address);
      if (this.wanted !== address) return; // turned on meanwhile
      this.data = data;
      if (this.image.isConnected) this.image.replaceWith(this.canvas);
      this.canvas.setAttribute("aria-label", `${this.axis} slice ${this.number + 1} of ${this.count}, with the structures in colour`);
      this.node.dataset.shown = this.number;
      this.paint();
      for (const step of [1, -1]) if (this.number + step >= 0 && this.number + step < this.count) this.fetch(this.address(this.number + step)).catch(() => {});
    } catch { if (this.wanted === address) $(".under", this.node).textContent = "not loaded"; }
  }
  // The picture's red is the scan, its green the number of the structure; decoded without any change of colours.
  fetch(address) {
    if (!this.pictures.has(address)) {
      if (this.pictures.size >= KEPT) this.pictures.delete(this.pictures.keys().next().value);
      const promise = (async () => {
        const answer = await fetch(address);
        if (!answer.ok) throw new Error(String(answer.status));
        const bitmap = await createImageBitmap(await answer.blob(), { colorSpaceConversion: "none", premultiplyAlpha: "none" });
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height), context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(bitmap, 0, 0);
        return context.getImageData(0, 0, bitmap.width, bitmap.height);
      })();
      promise.catch(() => this.pictures.delete(address));
      this.pictures.set(address, promise);
    }
    return this.pictures.get(address);
  }
  paint() {
    if (!this.data) return;
    const { width, height, data } = this.data, { all, chosen } = this.slices.structures, strength = this.slices.strength;
    const colors = [[0, 0, 0, 0, 0], ...all.map((one) => {
      const on = one.shown && strength > 0 ? 1 : 0;
      return [...one.color, on * strength * FILL * Math.max(0.25, one.opacity) * (chosen && chosen !== one ? 0.5 : 1.3), on * Math.min(1, strength * 1.3) * EDGE];
    })];
    const output = new ImageData(width, height), pixels = output.data;
    for (let y = 0, at = 0; y < height; y++) {
      for (let x = 0; x < width; x++, at += 4) {
        const grey = data[at], number = data[at + 1], color = colors[number] || colors[0];
        let alpha = color[3];
        if (number && ((x && data[at - 3] !== number) || (x < width - 1 && data[at + 5] !== number) || (y && data[at + 1 - 4 * width] !== number) || (y < height - 1 && data[at + 1 + 4 * width] !== number))) alpha = color[4];
        for (let part = 0; part < 3; part++) pixels[at + part] = grey + (color[part] - grey) * alpha;
        pixels[at + 3] = 255;
      }
    }
    this.canvas.width = width;
    this.canvas.height = height;
    this.canvas.getContext("2d").putImageData(output, 0, 0);
  }
  // Pixel under the pointer; the picture is fitted into its square frame.
  at(event) {
    const box = this.canvas.getBoundingClientRect(), { width, height } = this.data;
    const scale = Math.min(box.width / width, box.height / height);
    const x = (event.clientX - box.left - (box.width - width * scale) / 2) / scale, y = (event.clientY - box.top - (box.height - height * scale) / 2) / scale;
    return x >= 0 && y >= 0 && x < width && y < height ? [Math.floor(x), Math.floor(y)] : null;
  }
  say(event) {
    const point = this.data && this.at(event);
    const one = point && this.slices.structures.all[this.data.data[4 * (point[1] * this.data.width + point[0]) + 1] - 1];
    $(".under", this.node).textContent = one ? describe(one) : "";
  }
  go(event) {
    const point = this.data && this.at(event);
    if (!point) return;
    const [across, down] = NEXT[this.axis].map((axis) => this.slices.panes[axis]);
    across.show(Math.floor(point[0] / this.data.width * across.count));
    const row = Math.floor(point[1] / this.data.height * down.count);
    down.show(UPWARD[this.axis] ? down.count - 1 - row : row);
  }
}
