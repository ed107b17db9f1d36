// Opens a study in OHIF, loads its SEG or RTSTRUCT, and tells where the viewer has each structure; prints one line of JSON.
const order = JSON.parse(process.argv[2]);
const { chromium } = await import(order.playwright);

const browser = await chromium.launch({
  executablePath: order.chromium,
  headless: true,
  args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"],
});
const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
const page = await context.newPage();
const result = { errors: [], structures: {} };
page.on("pageerror", (error) => result.errors.push(String(error).slice(0, 300)));

async function until(check, seconds) {
  const end = Date.now() + seconds * 1000;
  for (;;) { const value = await check(); if (value) return value; if (Date.now() > end) return null; await page.waitForTimeout(100); }
}
const drawn = () => page.evaluate(() => {
  const canvas = document.querySelector(".viewport-element canvas, canvas.cornerstone-canvas");
  if (!canvas || !canvas.width) return false;
  const copy = document.createElement("canvas");
  copy.width = 64; copy.height = 64;
  const paper = copy.getContext("2d", { willReadFrequently: true });
  paper.drawImage(canvas, 0, 0, 64, 64);
  const data = paper.getImageData(0, 0, 64, 64).data;
  let low = 255, high = 0;
  for (let i = 0; i < data.length; i += 4) { low = Math.min(low, data[i]); high = Math.max(high, data[i]); }
  return high - low > 40;
});

try {
  await page.goto(order.url, { waitUntil: "commit" });
  result.shown = Boolean(await until(drawn, 90));
  const tour = page.getByText("Skip all").first();
  await tour.waitFor({ timeout: 4000 }).then(() => tour.click(), () => null);
  result.found = await until(() => page.evaluate((modality) => {
    const sets = window.services?.displaySetService?.getActiveDisplaySets?.() ?? [];
    return sets.some((one) => one.Modality === modality) && sets.map((one) => one.Modality);
  }, order.modality), 60);
  result.loaded = await page.evaluate(async (modality) => {
    const { displaySetService, viewportGridService } = window.services;
    const set = displaySetService.getActiveDisplaySets().find((one) => one.Modality === modality);
    const viewportId = viewportGridService.getState().activeViewportId;
    viewportGridService.setDisplaySetsForViewport({ viewportId, displaySetInstanceUIDs: [set.displaySetInstanceUID] });
    return viewportId;
  }, order.modality);
  const yes = page.getByText(/^(Yes|Load|Confirm)$/).first();
  // a click by the mouse waits for the button to stand still, which takes long where nothing is drawn by a graphics card
  result.asked = await yes.waitFor({ timeout: 60000 }).then(() => yes.dispatchEvent("click").then(() => true), () => false);
  result.structures = await until(() => page.evaluate((modality) => {
    const { segmentation, annotation } = window.cornerstoneTools;
    const all = segmentation.state.getSegmentations();
    if (!all.length) return null;
    const found = {};
    for (const one of all) {
      const named = (number) => one.segments[number]?.label ?? String(number);
      if (modality === "SEG") {
        const data = one.representationData.Labelmap;
        if (!data) return null;
        const images = data.imageIds ?? window.cornerstone.cache.getVolume(data.volumeId)?.imageIds;
        const sums = {};
        for (const id of images ?? []) {
          const image = window.cornerstone.cache.getImage(id);
          if (!image) return null;
          const plane = window.cornerstone.metaData.get("imagePlaneModule", image.referencedImageId ?? id);
          const pixels = image.voxelManager ? image.voxelManager.getScalarData() : image.getPixelData();
          const { imagePositionPatient: o, rowCosines: r, columnCosines: c, rowPixelSpacing: dr, columnPixelSpacing: dc } = plane;
          for (let at = 0; at < pixels.length; at++) {
            const label = pixels[at];
            if (!label) continue;
            const i = at % image.columns, j = Math.floor(at / image.columns);
            const sum = (sums[label] ??= [0, 0, 0, 0]);
            for (let axis = 0; axis < 3; axis++) sum[axis] += o[axis] + i * dc * r[axis] + j * dr * c[axis];
            sum[3]++;
          }
        }
        if (!Object.keys(sums).length) return null;
        for (const [label, [x, y, z, count]] of Object.entries(sums)) found[named(label)] = { weight: count, center: [x / count, y / count, z / count] };
      } else {
        const map = one.representationData.Contour?.annotationUIDsMap;
        if (!map || !map.size) return null;
        for (const [label, uids] of map.entries()) {
          const polylines = [...uids].map((uid) => annotation.state.getAnnotation(uid).data.contour.polyline.map((p) => [...p]));
          found[named(label)] = { polylines };
        }
      }
    }
    return found;
  }, order.modality), 90);
  await page.waitForTimeout(1500);
  if (order.slice !== undefined) {
    await page.evaluate((slice) => {
      const viewport = window.services.cornerstoneViewportService.getCornerstoneViewport(window.services.viewportGridService.getState().activeViewportId);
      window.cornerstone.utilities.jumpToSlice(viewport.element, { imageIndex: slice });
    }, order.slice).catch((error) => { result.jump = String(error).slice(0, 200); });
    await page.waitForTimeout(2000);
  }
  await page.screenshot({ path: order.picture });
} catch (error) {
  result.failure = String(error).slice(0, 500);
  await page.screenshot({ path: order.picture }).catch(() => null);
}
console.log("RESULT " + JSON.stringify(result));
await browser.close();
