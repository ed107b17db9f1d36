// Turns, zooms and moves a camera around a target: mouse, touch, wheel, keys. Up stays up, so that nobody gets lost.
const SPEED = 0.0065, KEY_TURN = Math.PI / 18, KEY_ZOOM = 0.85, NEAR_POLE = 0.02;

export class Orbit {
  constructor(THREE, camera, element, changed) {
    Object.assign(this, { THREE, camera, element, changed, azimuth: 0, polar: Math.PI / 2, distance: 1, target: new THREE.Vector3(), pointers: new Map(), moved: 0 });
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, (event) => this.pointers.delete(event.pointerId));
    element.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(Math.exp(Math.max(-0.5, Math.min(0.5, event.deltaY * (event.deltaMode ? 0.03 : 0.0012))))); }, { passive: false });
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("keydown", (event) => this.key(event));
  }
  home(center, radius) { this.center = center.clone(); this.radius = radius; this.look("front"); }
  look(from) {
    const [azimuth, polar] = { front: [0, 90], back: [180, 90], left: [90, 90], right: [-90, 90], top: [0, 0], bottom: [0, 180], reset: [20, 80] }[from] || [20, 80];
    this.azimuth = azimuth * Math.PI / 180;
    this.polar = polar * Math.PI / 180;
    this.target.copy(this.center);
    const half = this.camera.fov * Math.PI / 360, wide = Math.atan(Math.tan(half) * this.camera.aspect);
    this.distance = this.radius / Math.sin(Math.min(half, wide)) * 0.88;
    this.apply();
  }
  apply() {
    this.polar = Math.max(NEAR_POLE, Math.min(Math.PI - NEAR_POLE, this.polar));
    this.distance = Math.max(this.radius * 0.05, Math.min(this.radius * 20, this.distance));
    const { azimuth, polar, distance, target } = this;
    this.camera.position.set(Math.sin(polar) * Math.sin(azimuth), Math.cos(polar), Math.sin(polar) * Math.cos(azimuth)).multiplyScalar(distance).add(target);
    this.camera.near = distance / 100;
    this.camera.far = distance + this.radius * 40;
    this.camera.lookAt(target);
    this.camera.updateProjectionMatrix();
    this.camera.updateMatrixWorld();
    this.changed();
  }
  turn(x, y) { this.azimuth -= x * SPEED; this.polar -= y * SPEED; this.apply(); }
  zoom(factor) { this.distance *= factor; this.apply(); }
  pan(x, y) {
    const scale = 2 * this.distance * Math.tan(this.camera.fov * Math.PI / 360) / this.element.clientHeight;
    const right = new this.THREE.Vector3().setFromMatrixColumn(this.camera.matrix, 0), up = new this.THREE.Vector3().setFromMatrixColumn(this.camera.matrix, 1);
    this.target.addScaledVector(right, -x * scale).addScaledVector(up, y * scale);
    this.apply();
  }
  down(event) {
    this.element.setPointerCapture(event.pointerId);
    if (!this.pointers.size) this.moved = 0;
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.pointers.size > 1) this.moved = 1e3; // two fingers never pick
  }
  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY], x = now[0] - before[0], y = now[1] - before[1];
    this.moved += Math.abs(x) + Math.abs(y);
    if (this.pointers.size === 1) {
      if (event.buttons & 2 || event.buttons & 4 || event.shiftKey) this.pan(x, y); else this.turn(x, y);
    } else if (this.pointers.size === 2) {
      const other = [...this.pointers].find(([id]) => id !== event.pointerId)[1];
      const far = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      this.zoom(far(before) / far(now));
      this.pan(x / 2, y / 2);
    }
    this.pointers.set(event.pointerId, now);
  }
  key(event) {
    const acts = {
      ArrowLeft: () => { this.azimuth -= KEY_TURN; this.apply(); }, ArrowRight: () => { this.azimuth += KEY_TURN; this.apply(); },
      ArrowUp: () => { this.polar -= KEY_TURN; this.apply(); }, ArrowDown: () => { this.polar += KEY_TURN; this.apply(); },
      "+": () => this.zoom(KEY_ZOOM), "=": () => this.zoom(KEY_ZOOM), "-": () => this.zoom(1 / KEY_ZOOM), 0: () => this.look("reset"), Home: () => this.look("reset"),
      1: () => this.look("front"), 2: () => this.look("back"), 3: () => this.look("left"), 4: () => this.look("right"), 5: () => this.look("top"), 6: () => this.look("bottom"),
    };
    if (!acts[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    acts[event.key]();
  }
}
