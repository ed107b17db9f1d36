// Drives OHIF: first frame, scroll, play, reloads; prints one line of JSON.
const order = JSON.parse(process.argv[2]);
const { chromium } = await import(order.playwright);

const browser = await chromium.launch({
  executablePath: order.chromium,
  headless: true,
  args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist", "--enable-precise-memory-info"],
});
const context = await browser.newContext({ viewport: { width: 1100, height: 760 } });
const page = await context.newPage();
const result = { firstFrameMs: [], errors: [], crashed: false, heapMb: [], frameRequests: 0, statuses: {}, scrolled: [], played: 0 };
page.on("crash", () => { result.crashed = true; });
page.on("pageerror", (error) => result.errors.push(String(error).slice(0, 200)));
page.on("response", (response) => {
  if (!/\/frames\//.test(response.url())) return;
  result.frameRequests++;
  result.statuses[response.status()] = (result.statuses[response.status()] || 0) + 1;
});

/** A number that tells the picture in the viewport, 0 while it is blank. */
const fingerprint = () => page.evaluate(() => {
  const canvas = document.querySelector(".viewport-element canvas, canvas.cornerstone-canvas");
  if (!canvas || !canvas.width) return 0;
  const copy = document.createElement("canvas");
  copy.width = 64; copy.height = 64;
  const context = copy.getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0, 64, 64);
  const data = context.getImageData(0, 0, 64, 64).data;
  let hash = 7, low = 255, high = 0;
  for (let i = 0; i < data.length; i += 4) { hash = (hash * 31 + data[i]) >>> 0; low = Math.min(low, data[i]); high = Math.max(high, data[i]); }
  return high - low > 40 ? hash : 0;
});
const index = () => page.evaluate(() => { const m = document.body.innerText.match(/\((\d+)\/(\d+)\)/); return m ? [Number(m[1]), Number(m[2])] : null; });
const heap = async () => result.heapMb.push(Math.round((await page.evaluate(() => performance.memory?.usedJSHeapSize || 0)) / 1048576));
async function until(check, seconds) {
  const end = Date.now() + seconds * 1000;
  for (;;) { const value = await check(); if (value) return value; if (Date.now() > end) return null; await page.waitForTimeout(50); }
}

async function open(reload) {
  const began = Date.now();
  if (reload) await page.reload({ waitUntil: "commit" }); else await page.goto(order.url, { waitUntil: "commit" });
  const seen = await until(fingerprint, 90);
  result.firstFrameMs.push(seen ? Date.now() - began : null);
  return seen;
}

try {
  const first = await open(false);
  await page.waitForTimeout(500);
  result.index = await index();
  await page.screenshot({ path: `${order.pictures}/ohif-first.png` });
  await heap();
  if (first) {
    const tour = page.getByText("Skip all").first();
    await tour.waitFor({ timeout: 4000 }).then(() => tour.click(), () => null);
    const box = await page.locator(".viewport-element, canvas.cornerstone-canvas").first().boundingBox();
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    let last = await fingerprint();
    for (let i = 0; i < 5; i++) {
      await page.mouse.wheel(0, 120);
      const now = await until(async () => { const f = await fingerprint(); return f && f !== last ? f : 0; }, 20);
      if (now) { result.scrolled.push((await index())?.[0] ?? null); last = now; }
    }
    await page.screenshot({ path: `${order.pictures}/ohif-scrolled.png` });
    // OHIF opens its cine player by itself for cine objects
    const play = page.locator("[data-cy='cine-player-play-pause']").first();
    result.cine = await play.waitFor({ timeout: 5000 }).then(() => 1, () => 0);
    if (result.cine) await play.click({ timeout: 3000 }).catch((error) => { result.cine = String(error).slice(0, 100); });
    const seen = new Set(), began = Date.now(), from = await index();
    while (Date.now() - began < order.playSeconds * 1000) { const f = await fingerprint(); if (f) seen.add(f); await page.waitForTimeout(40); }
    result.played = seen.size; result.playedFrom = from; result.playedTo = await index();
    await page.screenshot({ path: `${order.pictures}/ohif-played.png` });
    await heap();
  }
  for (let i = 0; i < order.reloads; i++) { await open(true); await page.waitForTimeout(300); await heap(); }
} catch (error) {
  result.failure = String(error).slice(0, 500);
}
console.log("RESULT " + JSON.stringify(result));
await browser.close();
