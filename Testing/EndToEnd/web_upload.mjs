// Two scans and a folder are brought and watched until all are done; the page is never loaded again.
import { open, order, picture, result, run, violations } from "./web_drive.mjs";

await run(async () => {
  const page = await open();
  await page.goto(order.url);
  await page.evaluate(() => { globalThis.neverReloaded = true; });
  result.tokenInAddress = page.url().includes("token");
  await page.locator("html.scripted").waitFor();
  await page.locator("#engine").selectOption("threshold");
  await page.locator("#files").setInputFiles([...order.scans, order.noScan, order.broken]);
  await page.locator(".toast").waitFor();
  result.toast = await page.locator(".toast").innerText();
  await page.locator("#folder").setInputFiles(order.folder);
  const state = (name) => page.locator(`.up[data-name="${name}"]`);
  for (const name of order.names) await page.locator(`.up[data-name="${name}"][data-state="done"]`).waitFor({ timeout: 60000 });
  await page.locator('.up[data-state="refused"]').waitFor();
  result.refused = await state("broken.nii.gz").locator(".said").innerText();
  result.folder = await state("chest-folder").locator(".said").innerText();
  result.violations = await violations(page);
  await picture(page, "uploading", { fullPage: true });
  // Every state a row goes through, seen as it changes.
  const seen = { progress: new Set(), words: new Set() };
  const until = Date.now() + 240000;
  for (;;) {
    const rows = await page.locator("#jobs .job").evaluateAll((all) => all.map((row) => [row.dataset.state, row.querySelector(".badge").textContent, row.querySelector("progress")?.value ?? null, row.querySelector(".note").textContent]));
    for (const [, word, value, note] of rows) { seen.words.add(word); if (value) seen.progress.add(value); if (/next in line|before it/.test(note)) seen.words.add("position"); if (/left$|done in about/.test(note)) seen.words.add("eta"); }
    if (rows.length === 3 && rows.every(([name]) => name === "done")) break;
    if (rows.some(([name]) => ["failed", "quarantined"].includes(name)) || Date.now() > until) throw new Error(`jobs ended badly or late: ${JSON.stringify(rows)}`);
    await page.waitForTimeout(100);
  }
  result.words = [...seen.words];
  result.progress = seen.progress.size;
  result.live = await page.evaluate(() => globalThis.neverReloaded === true);
  result.counts = await page.locator('.chip[data-group="done"] b').innerText();
  await picture(page, "finished");
  await state("chest-folder").getByRole("link", { name: "see the job" }).click();
  await page.locator('#stage[data-ready="yes"]').waitFor();
  result.title = await page.locator("h1").innerText();
});
