// The page of a finished job: model, structures, slices, downloads; by mouse, keyboard and fingers; and without WebGL or scripts.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { open, order, picture, result, run, violations } from "./web_drive.mjs";

const ready = (page) => page.locator('#stage[data-ready="yes"]').waitFor();
// Pixels of the drawn model near a colour's hue, and all that are drawn at all.
const drawn = (page) => page.evaluate(() => {
  viewer.render();
  const { canvas } = viewer, copy = new OffscreenCanvas(canvas.width, canvas.height), context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, copy.width, copy.height), counts = { all: 0, yellow: 0 };
  for (let at = 0; at < data.length; at += 4) {
    if (!data[at + 3]) continue;
    counts.all++;
    if (data[at + 3] > 250 && data[at] > 150 && data[at + 1] > data[at + 2] * 1.3) counts.yellow++;
  }
  return counts;
});
const painted = (page, axis, color) => page.evaluate(([name, [red, green, blue]]) => {
  const canvas = document.querySelector(`.pane[data-axis="${name}"] canvas`), { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let at = 0; at < data.length; at += 4) if (data[at] !== data[at + 1] && Math.abs(data[at] / (data[at + 2] + 1) - red / (blue + 1)) < 1 && green) count++;
  return count;
}, [axis, color]);
const shown = (page, axis) => page.locator(`.pane[data-axis="${axis}"]`).getAttribute("data-shown").then(Number);

await run(async () => {
  const page = await open();
  await page.goto(order.url);
  await page.getByRole("link", { name: `Open ${order.name}` }).click();
  await ready(page);
  await page.locator(".pane[data-shown] canvas").nth(2).waitFor();
  result.structures = await page.locator(".structure").evaluateAll((rows) => rows.map((row) => [row.dataset.name, row.querySelector(".ml").textContent]));
  await picture(page, "result-light", { fullPage: true });
  result.before = await drawn(page);
  await page.getByRole("button", { name: "Show bone" }).click();
  result.without = await drawn(page);
  result.scene = await page.evaluate(() => Object.fromEntries([...viewer.meshes].map(([name, mesh]) => [name, mesh.visible])));
  result.pressed = await page.getByRole("button", { name: "Show bone" }).getAttribute("aria-pressed");
  await picture(page, "result-hidden");
  await page.getByRole("button", { name: "Show bone" }).click();

  // A veil is looked through: the middle of the front view is the breast bone, not the skin.
  await page.locator('[data-view="front"]').click();
  const middle = await page.locator("#scene").boundingBox();
  await page.mouse.click(middle.x + middle.width / 2, middle.y + middle.height / 2);
  result.picked = await page.locator("#picked").innerText();
  result.chosen = await page.locator(".structure.chosen").getAttribute("data-name");
  await picture(page, "result-picked");
  const moved = () => page.evaluate(() => [viewer.orbit.azimuth, viewer.orbit.polar, viewer.orbit.distance]);
  const letters = () => page.evaluate(() => Object.fromEntries(viewer.letters.map(({ letter, mark }) => [letter, mark.getAttribute("transform")])));
  await page.waitForTimeout(100);
  result.front = await letters();
  const start = await moved();
  await page.locator("#scene").focus();
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("+");
  const keyed = await moved();
  result.keys = [keyed[0] !== start[0], keyed[2] < start[2]];
  await page.keyboard.press("0");
  await page.mouse.move(middle.x + 100, middle.y + 200);
  await page.mouse.down();
  await page.mouse.move(middle.x + 200, middle.y + 220, { steps: 4 });
  await page.mouse.up();
  await page.mouse.wheel(0, 300);
  await page.waitForTimeout(100);
  const dragged = await moved(), home = await page.evaluate(() => [20 * Math.PI / 180, 80 * Math.PI / 180]);
  result.mouse = [dragged[0] < home[0], dragged[1] < home[1]];

  // Opacity and isolation.
  await page.locator('[data-name="lungs"] .pick').click();
  await page.locator('[data-name="lungs"] .opacity').fill("30");
  result.opacity = await page.evaluate(() => viewer.meshes.get("lungs").material.opacity);
  await page.locator('[data-name="lungs"] .only').click();
  result.only = await page.evaluate(() => [...viewer.meshes].filter(([, mesh]) => mesh.visible).map(([name]) => name));
  await page.locator("#show-all").click();
  result.all = await page.evaluate(() => [...viewer.meshes].filter(([, mesh]) => mesh.visible).length);

  // Slices: choosing a structure goes to its middle; hiding it takes its colour away; a click goes there in the others.
  const before = await shown(page, "axial");
  await page.locator('.pane[data-axis="axial"] input').fill("3");
  await page.waitForFunction(() => document.querySelector('.pane[data-axis="axial"]').dataset.shown === "3");
  await page.locator('[data-name="bone"] .pick').click();
  await page.waitForFunction(() => document.querySelector('.pane[data-axis="axial"]').dataset.shown !== "3");
  result.center = [before, await shown(page, "axial")];
  const bone = [241, 214, 145];
  result.boneShown = await painted(page, "axial", bone);
  await page.locator("#hide-all").click();
  result.boneHidden = await painted(page, "axial", bone);
  await page.locator("#show-all").click();
  const axial = await page.locator('.pane[data-axis="axial"] canvas').boundingBox();
  await page.locator('.pane[data-axis="axial"]').scrollIntoViewIfNeeded();
  const box = await page.locator('.pane[data-axis="axial"] canvas').boundingBox();
  await page.mouse.click(box.x + box.width * 0.3, box.y + box.height * 0.5);
  await page.waitForTimeout(400);
  result.under = await page.locator('.pane[data-axis="axial"] .under').innerText();
  result.sagittal = (await shown(page, "sagittal")) / (await page.locator('.pane[data-axis="sagittal"] input').getAttribute("max"));
  result.size = axial.width > 100;
  await page.locator("#window").selectOption("lung");
  await page.waitForTimeout(300);
  await picture(page, "slices");

  // Downloads are, byte for byte, what the page says they are.
  result.downloads = {};
  for (const link of await page.locator(".file[data-sha256]").all()) {
    const name = await link.getAttribute("data-name");
    const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
    const content = await readFile(await download.path());
    result.downloads[name] = [createHash("sha256").update(content).digest("hex"), await link.getAttribute("data-sha256"), content.length];
  }
  const [archive] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download everything" }).click()]);
  await archive.saveAs(`${order.pictures}/everything.zip`);
  await page.locator('[data-name="bone"] .pick').click();
  if (!await page.locator('[data-name="bone"] a').isVisible()) await page.locator('[data-name="bone"] .pick').click();
  const [stl] = await Promise.all([page.waitForEvent("download"), page.locator('[data-name="bone"] a').click()]);
  await stl.saveAs(`${order.pictures}/bone.stl`);
  result.path = await page.evaluate((home) => document.documentElement.outerHTML.includes(home), order.home);
  result.violations = await violations(page);

  const cookies = await page.context().cookies(), address = page.url();
  const again = async (options) => { const other = await open(options); await other.context().addCookies(cookies); return other; };
  const phone = await again({ phone: true });
  await phone.goto(address);
  await ready(phone);
  await picture(phone, "phone-result");
  const far = await phone.evaluate(() => viewer.orbit.distance);
  const touch = await phone.context().newCDPSession(phone), place = await phone.locator("#scene").boundingBox();
  const fingers = (gap) => [-1, 1].map((side, id) => ({ id, x: place.x + place.width / 2 + side * gap, y: place.y + place.height / 2 }));
  await touch.send("Input.dispatchTouchEvent", { type: "touchStart", touchPoints: fingers(20) });
  for (const gap of [40, 60, 80]) await touch.send("Input.dispatchTouchEvent", { type: "touchMove", touchPoints: fingers(gap) });
  await touch.send("Input.dispatchTouchEvent", { type: "touchEnd", touchPoints: [] });
  result.pinch = (await phone.evaluate(() => viewer.orbit.distance)) / far;
  await phone.locator('[data-view="front"]').click();
  const there = await phone.locator("#scene").boundingBox(); // the page has moved under the finger
  await phone.touchscreen.tap(there.x + there.width / 2, there.y + there.height / 2);
  await phone.locator("#picked").waitFor();
  result.tapped = await phone.locator("#picked").innerText();
  result.width = await phone.evaluate(() => document.documentElement.scrollWidth);

  const flat = await again();
  await flat.addInitScript(() => {
    const original = HTMLCanvasElement.prototype.getContext;
    HTMLCanvasElement.prototype.getContext = function (kind, ...rest) { return /webgl/.test(kind) ? null : original.call(this, kind, ...rest); };
  });
  await flat.goto(address);
  await flat.locator('#stage[data-ready="no"]').waitFor();
  result.flat = await flat.locator("#scene-note").innerText();
  await flat.locator(".pane[data-shown] canvas").nth(2).waitFor();
  await picture(flat, "no-webgl");

  const plain = await again({ flags: { javaScriptEnabled: false } });
  await plain.goto(address);
  await plain.locator(".pane img").nth(2).scrollIntoViewIfNeeded();
  result.plainPictures = await plain.locator(".pane img").count();
  result.plainFiles = await plain.locator(".file").count();
  await picture(plain, "no-scripts");
});
