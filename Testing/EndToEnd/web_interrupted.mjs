// A server killed in the middle of an upload and of a job, a page loaded again in the middle, pause and resume: nothing is lost, little is sent twice.
import { ask, open, order, picture, result, run, violations } from "./web_drive.mjs";

const RATE = 2e6; // bytes per second, so that there is a middle
const sessions = new Map();
const slow = async (page, rate) => { // one session: each holds the page to its own rate
  if (!sessions.has(page)) {
    sessions.set(page, await page.context().newCDPSession(page));
    await sessions.get(page).send("Network.enable");
  }
  await sessions.get(page).send("Network.emulateNetworkConditions", { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: rate });
};
const unit = (page, name) => page.locator(`.up[data-name="${name}"]`);
const sent = (page, name) => page.evaluate((wanted) => document.querySelector(`.up[data-name="${wanted}"] progress`)?.value ?? 0, name);
const until = (page, name, share) => page.waitForFunction(([wanted, least]) => (document.querySelector(`.up[data-name="${wanted}"] progress`)?.value ?? 0) >= least, [name, share], { timeout: 60000 });

await run(async () => {
  const page = await open();
  const bytes = { sent: 0, offsets: [] };
  page.on("request", (request) => { if (request.method() === "PATCH") bytes.offsets.push(Number(request.headers()["upload-offset"])); });
  await page.goto(order.url);
  await page.locator("html.scripted").waitFor();
  await slow(page, RATE);
  await page.locator("#files").setInputFiles(order.first);
  await until(page, "first.nii", 0.3);
  await picture(page, "upload-running");
  result.speed = await unit(page, "first.nii").locator(".said").innerText();

  // Pause and go on.
  await unit(page, "first.nii").getByRole("button", { name: "Pause" }).click();
  await unit(page, "first.nii").filter({ hasText: "paused" }).waitFor();
  const paused = await sent(page, "first.nii");
  await page.waitForTimeout(700);
  result.pausedStays = (await sent(page, "first.nii")) === paused;
  await unit(page, "first.nii").getByRole("button", { name: "Go on" }).click();
  await until(page, "first.nii", 0.45);

  // The server is killed, the page says so; it comes back, and the upload goes on from where it was.
  const before = await sent(page, "first.nii");
  await ask("kill");
  await unit(page, "first.nii").filter({ hasText: "connection is lost" }).waitFor();
  await page.locator("#banner").filter({ hasText: "cannot be reached" }).waitFor();
  result.lost = await unit(page, "first.nii").locator(".said").innerText();
  result.lostViolations = await violations(page);
  await picture(page, "upload-server-lost");
  const attempts = bytes.offsets.length;
  await ask("start");
  await page.waitForFunction(() => document.querySelector("#banner").hidden, null, { timeout: 60000 });
  await slow(page, -1);
  await page.locator('.up[data-name="first.nii"][data-state="done"]').waitFor({ timeout: 90000 });
  result.resumed = { before, offset: bytes.offsets[attempts], size: order.size };

  // The page is loaded again in the middle: the upload is listed, and goes on when the same file is chosen.
  await slow(page, RATE);
  await page.locator("#files").setInputFiles(order.second);
  await until(page, "second.nii", 0.3);
  await page.reload();
  await page.locator('.up[data-name="second.nii"][data-state="lost"]').waitFor();
  result.listed = await unit(page, "second.nii").locator(".said").innerText();
  result.listedShare = await sent(page, "second.nii");
  result.listedViolations = await violations(page);
  await picture(page, "upload-after-reload");
  await slow(page, -1);
  const fresh = bytes.offsets.length;
  await page.locator("#files").setInputFiles(order.second);
  await page.locator('.up[data-name="second.nii"][data-state="done"]').waitFor({ timeout: 90000 });
  result.reloaded = { offset: bytes.offsets[fresh] };
  result.units = await page.locator(".up").count();

  // Removed means removed, here and on the server.
  await slow(page, RATE);
  await page.locator("#files").setInputFiles(order.third);
  await until(page, "third.nii", 0.1);
  await unit(page, "third.nii").getByRole("button", { name: "Remove" }).click();
  await page.waitForFunction(async () => { const held = await (await fetch("/api/uploads")).json(); return (held.uploads || held).length === 0; });
  result.removed = await unit(page, "third.nii").count() === 0;

  // A job is interrupted by the end of everything; afterwards it is begun again and done, on the same page.
  await slow(page, -1);
  await page.locator("#files").setInputFiles(order.job);
  const row = page.locator(".job", { hasText: "sleeper" });
  await page.locator('.job[data-state="running"]', { hasText: "sleeper" }).waitFor();
  await page.evaluate(() => { globalThis.neverReloaded = true; });
  await ask("kill");
  await page.locator("#banner").filter({ hasText: "cannot be reached" }).waitFor();
  await ask("start");
  await page.locator('.job[data-state="done"]', { hasText: "sleeper" }).waitFor({ timeout: 90000 });
  result.job = await row.locator(".badge").textContent();
  result.stayed = await page.evaluate(() => globalThis.neverReloaded === true);
  result.rows = await page.locator("#jobs .name").allTextContents();
});
