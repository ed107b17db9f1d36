// A tour through every state of the pages.
import { ask, open, order, picture, result, run, violations } from "./web_drive.mjs";

Object.assign(result, { violations: {}, widths: {} });
const names = (page) => page.locator("#jobs .name").allTextContents();
const root = new URL(order.url).origin;

await run(async () => {
  const page = await open();
  const dark = async (state) => {
    for (const scheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: scheme });
      result.violations[`${state} ${scheme}`] = await violations(page, scheme === "dark");
      await picture(page, `${state}-${scheme}`);
    }
    await page.emulateMedia({ colorScheme: "light" });
  };
  await page.goto(order.empty);
  await page.locator(".empty").waitFor();
  await dark("empty");

  await page.goto(order.url);
  await page.locator("#live:not(.lost):visible").waitFor();
  await dark("queue");
  result.nasty = [await page.locator(".name", { hasText: "scan" }).first().innerText()];
  result.images = await page.locator("#jobs img").count();
  await page.locator('[data-group="failed"]').click();
  await page.waitForFunction(() => document.querySelectorAll("#jobs .job").length === 3);
  result.failed = await names(page);
  await page.locator('[data-group=""]').click();
  await page.locator("#q").fill("lumbar");
  await page.waitForFunction(() => document.querySelectorAll("#jobs .job").length === 1);
  result.found = await names(page);
  await page.locator("#q").fill("no such name");
  await page.locator(".empty h3").waitFor();
  result.nothing = await page.locator(".empty h3").innerText();
  await page.locator("#q").fill("");

  await ask("pause");
  await page.locator("#paused .notice").waitFor();
  await ask("full");
  await page.locator("#intake .notice").waitFor();
  await dark("paused-full");
  await ask("well");
  await page.locator("#paused .notice").waitFor({ state: "detached" });

  for (const [state, name] of [["failed", "photo"], ["missing", "abdomen-07"], ["quarantined", "thorax-long"], ["cancelled", "wrong-patient-side"], ["waiting", "spine-lumbar"], ["running", "pelvis-12"]]) {
    await page.goto(`${root}/jobs/${order.ids[name]}`);
    await page.locator("#live:not(.lost):visible").waitFor();
    await dark(`job-${state}`);
    if (state === "failed") result.reason = await page.locator("#state").innerText();
    if (state === "quarantined") result.quarantine = await page.locator("#state").innerText();
  }
  for (const [state, path] of [["404", "/jobs/abcdefgh"], ["nothing", "/no/such/page"]]) {
    await page.goto(root + path);
    await dark(`problem-${state}`);
  }

  await page.goto(`${root}/jobs/${order.ids["knee-2026-10-02"]}`);
  await page.locator('#stage[data-ready="yes"]').waitFor();
  await dark("job-done");
  await page.locator('[data-act="delete"]').click();
  result.asked = await page.locator("#confirm-title").innerText();
  await dark("delete");
  await page.getByRole("button", { name: "Keep it" }).click();
  await page.locator("#confirm").waitFor({ state: "hidden" });
  result.kept = page.url().includes("/jobs/");
  await page.locator('[data-act="delete"]').click();
  await page.locator("#confirm-yes").click();
  await page.waitForURL(`${root}/`);
  result.gone = !(await names(page)).includes("knee-2026-10-02");

  await ask("stop");
  await page.locator("#banner").filter({ hasText: "cannot be reached" }).waitFor();
  result.lost = await page.locator("#banner").innerText();
  await dark("server-lost");
  await ask("start");
  await page.locator("#banner").waitFor({ state: "hidden" });
  result.back = await page.locator("#live:not(.lost)").isVisible();

  const phone = await open({ phone: true });
  await phone.context().addCookies(await page.context().cookies());
  for (const [state, path] of [["queue", "/"], ["failed", `/jobs/${order.ids.photo}`], ["running", `/jobs/${order.ids["pelvis-12"]}`], ["done", `/jobs/${order.ids["chest-anna"]}`], ["nasty", `/jobs/${Object.entries(order.ids).find(([name]) => name.includes("<img"))[1]}`]]) {
    await phone.goto(root + path);
    await phone.locator("#live:not(.lost):visible").waitFor();
    if (state === "done") await phone.locator('#stage[data-ready="yes"]').waitFor();
    if (state === "nasty") result.nasty.push(await phone.locator("h1").innerText());
    result.widths[state] = await phone.evaluate(() => document.documentElement.scrollWidth);
    result.violations[`phone ${state}`] = await violations(phone);
    await picture(phone, `phone-${state}`);
  }
});
