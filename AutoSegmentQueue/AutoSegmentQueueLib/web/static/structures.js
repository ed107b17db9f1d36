// The list beside the model: what is shown, how opaque, which one is chosen. Model and slices listen.
import { $, $$, setIcon } from "./core.js";

export class Structures extends EventTarget {
  constructor(list, structures) {
    super();
    this.all = structures.map((one, index) => ({ ...one, number: index + 1, shown: true, opacity: one.opacity ?? 1 }));
    this.byName = new Map(this.all.map((one) => [one.name, one]));
    this.chosen = null;
    if (!list) return;
    this.rows = new Map($$(".structure", list).map((row) => [row.dataset.name, row]));
    list.addEventListener("click", (event) => this.click(event));
    list.addEventListener("input", (event) => {
      if (event.target.matches(".opacity")) { this.at(event.target).opacity = event.target.value / 100; this.changed(); }
    });
    $("#show-all").addEventListener("click", () => this.show(() => true));
    $("#hide-all").addEventListener("click", () => this.show(() => false));
    $("#find-structure")?.addEventListener("input", (event) => {
      const wanted = event.target.value.trim().toLowerCase();
      for (const [name, row] of this.rows) row.hidden = !name.replaceAll("_", " ").toLowerCase().includes(wanted);
    });
    this.changed();
  }
  at(node) { return this.byName.get(node.closest(".structure").dataset.name); }
  click(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const one = this.at(button);
    if (button.matches(".eye")) { one.shown = !one.shown; this.changed(); }
    else if (button.matches(".pick")) this.choose(this.chosen === one ? null : one, "list");
    else if (button.matches(".only")) { this.show((other) => other === one); }
  }
  show(wanted) { for (const one of this.all) one.shown = wanted(one); this.changed(); }
  choose(one, from) {
    this.chosen = one;
    for (const [name, row] of this.rows || []) {
      const on = one?.name === name;
      row.classList.toggle("chosen", on);
      $(".pick", row).setAttribute("aria-expanded", on);
      $(".more-row", row).hidden = !on;
      if (on && from !== "list") row.scrollIntoView({ block: "nearest" });
    }
    this.dispatchEvent(new CustomEvent("choose", { detail: { one, from } }));
  }
  changed() {
    for (const one of this.all) {
      const row = this.rows?.get(one.name);
      if (!row) continue;
      row.classList.toggle("hidden-one", !one.shown);
      $(".eye", row).setAttribute("aria-pressed", one.shown);
      setIcon($(".eye", row), one.shown ? "eye" : "eye-off");
    }
    this.dispatchEvent(new Event("change"));
  }
}
export function describe(one) {
  const name = one.name.replaceAll("_", " ");
  const ml = one.volume_ml;
  const volume = ml === null || ml === undefined ? "" : ml >= 1000 ? `${(ml / 1000).toFixed(2)} l` : `${ml >= 100 ? ml.toFixed(0) : ml.toPrecision(3)} ml`;
  return `${name[0].toUpperCase()}${name.slice(1)}${volume ? ` · ${volume}` : ""}`;
}
