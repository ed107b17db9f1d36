// The model: three.js (as the Python package trimesh carries it) draws the job's GLB; nothing runs while nothing moves.
import { $, $$, svg } from "./core.js";
import { Orbit } from "./orbit.js";
import { describe } from "./structures.js";
import { size } from "./words.js";

const DIRECTIONS = { L: [1, 0, 0], R: [-1, 0, 0], S: [0, 1, 0], I: [0, -1, 0], A: [0, 0, 1], P: [0, 0, -1] };
const VIEWS = { L: "left", R: "right", S: "top", I: "bottom", A: "front", P: "back" };

export async function show(stage, structures) {
  const note = $("#scene-note");
  const sorry = (text) => { note.textContent = text; stage.dataset.ready = "no"; };
  if (!hasWebGL()) return sorry("This browser cannot draw in 3D (WebGL is off). Slices and downloads work all the same.");
  if (!stage.dataset.model) return sorry("This result has no GLB model.");
  if (!stage.dataset.three) return sorry("The 3D view needs the Python package trimesh on the server.");
  try {
    const [, model] = await Promise.all([script(stage.dataset.three), fetched(stage.dataset.model, (text) => { note.textContent = text; })]);
    note.textContent = "Drawing…";
    const viewer = new Viewer(globalThis.THREE, stage, structures);
    await viewer.load(model);
    note.textContent = "";
    stage.dataset.ready = "yes";
    globalThis.viewer = viewer; // for who looks from the console, and for tests
  } catch (error) {
    sorry(`The model cannot be shown (${error.message}). Slices and downloads work all the same.`);
  }
}
function hasWebGL() {
  try {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
  } catch { return false; }
}
const script = (address) => new Promise((resolve, reject) => {
  if (globalThis.THREE) return resolve();
  const node = document.createElement("script");
  Object.assign(node, { src: address, onload: resolve, onerror: () => reject(new Error("three.js did not load")) });
  document.head.append(node);
});
async function fetched(address, tell) {
  const answer = await fetch(address, { credentials: "same-origin" });
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  const total = Number(answer.headers.get("Content-Length")), parts = [], reader = answer.body.getReader();
  for (let got = 0; ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    got += value.length;
    tell(total ? `Loading the model… ${size(got)} of ${size(total)}` : `Loading the model… ${size(got)}`);
  }
  return new Blob(parts).arrayBuffer();
}

class Viewer {
  constructor(THREE, stage, structures) {
    Object.assign(this, { THREE, stage, structures, meshes: new Map(), frame: 0 });
    this.canvas = $("canvas", stage);
    this.renderer = new THREE.WebGLRenderer({ canvas: this.canvas, antialias: true, alpha: true, preserveDrawingBuffer: false });
    this.renderer.outputEncoding = THREE.sRGBEncoding;
    this.scene = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera(30, 1, 0.01, 100);
    this.light = new THREE.DirectionalLight(0xffffff, 0.75);
    this.scene.add(new THREE.HemisphereLight(0xffffff, 0x8c96a3, 0.62), this.light, this.light.target);
    this.orbit = new Orbit(THREE, this.camera, this.canvas, () => this.draw());
    this.gizmo();
    this.listen();
  }
  async load(buffer) {
    const gltf = await new Promise((resolve, reject) => new this.THREE.GLTFLoader().parse(buffer, "", resolve, reject));
    this.scene.add(gltf.scene);
    gltf.scene.updateMatrixWorld(true);
    gltf.scene.traverse((node) => { if (node.isMesh) this.take(node); });
    if (!this.meshes.size) throw new Error("it is empty");
    const box = new this.THREE.Box3().setFromObject(gltf.scene), sphere = box.getBoundingSphere(new this.THREE.Sphere());
    this.resize();
    this.orbit.home(sphere.center, sphere.radius);
    this.orbit.look("reset");
    this.apply();
  }
  // Names of nodes are changed by the loader (no two may be equal, no dots); the one the file has is kept with the mesh's data.
  take(mesh) {
    const name = mesh.userData.name || mesh.name;
    const one = this.structures.byName.get(name) || this.structures.all.find((other) => this.THREE.PropertyBinding.sanitizeNodeName(other.name) === mesh.name);
    mesh.material = mesh.material.clone();
    mesh.material.side = this.THREE.FrontSide;
    mesh.userData.structure = one || null;
    this.meshes.set(one?.name || name, mesh);
  }
  apply() {
    for (const mesh of this.meshes.values()) {
      const one = mesh.userData.structure;
      if (!one) continue;
      const { material } = mesh, clear = one.opacity < 1;
      mesh.visible = one.shown && one.opacity > 0;
      if (material.transparent !== clear) { material.transparent = clear; material.needsUpdate = true; }
      material.opacity = one.opacity;
      material.depthWrite = !clear;
      mesh.renderOrder = clear ? 1 : 0;
      material.emissive?.setHex(this.structures.chosen === one ? 0x2f3b12 : 0x000000);
    }
    this.draw();
  }
  draw() { this.frame ||= requestAnimationFrame(() => { this.frame = 0; this.render(); }); }
  render() {
    this.light.position.copy(this.camera.position);
    this.light.target.position.copy(this.orbit.target);
    this.renderer.render(this.scene, this.camera);
    this.turnGizmo();
  }
  resize() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width || !height) return;
    this.renderer.setPixelRatio(Math.min(devicePixelRatio, 2));
    this.renderer.setSize(width, height, false);
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.draw();
  }
  // The structure under a point of the canvas: the nearest opaque one; a veil is looked through unless nothing is behind it.
  pick(clientX, clientY) {
    const box = this.canvas.getBoundingClientRect();
    const point = new this.THREE.Vector2((clientX - box.left) / box.width * 2 - 1, 1 - (clientY - box.top) / box.height * 2);
    const ray = new this.THREE.Raycaster();
    ray.setFromCamera(point, this.camera);
    const hits = ray.intersectObjects([...this.meshes.values()].filter((mesh) => mesh.visible), false).map((hit) => hit.object.userData.structure).filter(Boolean);
    return hits.find((one) => one.opacity > 0.5) || hits[0] || null;
  }
  listen() {
    this.structures.addEventListener("change", () => this.apply());
    this.structures.addEventListener("choose", ({ detail: { one } }) => {
      const picked = $("#picked");
      picked.hidden = !one;
      picked.textContent = one ? describe(one) : "";
      this.apply();
    });
    this.canvas.addEventListener("click", (event) => { if (this.orbit.moved < 6) this.structures.choose(this.pick(event.clientX, event.clientY), "scene"); });
    new ResizeObserver(() => this.resize()).observe(this.stage);
    for (const button of $$("[data-view]")) button.addEventListener("click", () => this.orbit.look(button.dataset.view));
    const full = $("#fullscreen");
    if (document.fullscreenEnabled && full) {
      full.hidden = false;
      full.addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : this.stage.requestFullscreen()));
    }
    this.canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); $("#scene-note").textContent = "The graphics card was taken away; reload the page to see the model again."; });
  }
  gizmo() {
    this.letters = Object.keys(DIRECTIONS).map((letter) => {
      const line = svg("line", { x1: 0, y1: 0 }), mark = svg("g", {}, svg("circle", { r: 10 }), svg("text", {}, letter));
      mark.addEventListener("click", () => this.orbit.look(VIEWS[letter]));
      return { letter, line, mark };
    });
    $("#gizmo").append(...this.letters.map((one) => one.line), ...this.letters.map((one) => one.mark));
  }
  turnGizmo() {
    const inverse = this.camera.quaternion.clone().invert();
    const placed = this.letters.map((one) => ({ ...one, at: new this.THREE.Vector3(...DIRECTIONS[one.letter]).applyQuaternion(inverse) })).sort((a, b) => a.at.z - b.at.z);
    for (const { line, mark, at } of placed) {
      const x = (at.x * 36).toFixed(1), y = (-at.y * 36).toFixed(1);
      line.setAttribute("x2", x); line.setAttribute("y2", y);
      mark.setAttribute("transform", `translate(${x} ${y})`);
      mark.setAttribute("opacity", at.z < -0.3 ? 0.45 : 1);
      mark.parentNode.append(mark);
    }
  }
}
