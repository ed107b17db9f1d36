// Who may do what: login, a wrong password, a viewer, a submitter, an admin, a session that has ended, and pages for people without scripts.
import { ask, open, order, picture, result, run, violations } from "./web_drive.mjs";

Object.assign(result, { violations: {} });
const login = async (page, name, password) => {
  await page.locator("#name").fill(name);
  await page.locator("#password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
};
const look = async (page, state) => {
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    result.violations[`${state} ${scheme}`] = await violations(page, scheme === "dark");
    await picture(page, `${state}-${scheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
};

await run(async () => {
  const page = await open();
  await page.goto(order.url);
  result.sentTo = new URL(page.url()).pathname;
  await page.locator("#name").waitFor();
  await look(page, "login");
  await login(page, "vera", "not her password");
  await page.locator('[role="alert"]').waitFor();
  result.wrong = await page.locator('[role="alert"]').innerText();
  await look(page, "login-wrong");
  await login(page, "vera", order.password);
  await page.locator("#list").waitFor();
  result.viewer = { upload: await page.locator("#upload").count(), acts: await page.locator("#jobs [data-act]").count(), rows: await page.locator("#jobs .job").count(), pause: await page.locator("#pause").count() };
  await look(page, "viewer");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.locator("#name").waitFor();
  await page.goto(order.url);
  result.out = new URL(page.url()).pathname;

  // A deep link leads to the login and back.
  await page.goto(`${order.root}/jobs/${order.ids["spine-lumbar"]}`);
  await login(page, "anna", order.password);
  await page.locator("#job").waitFor();
  result.back = await page.locator("h1").innerText();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.locator(".badge.off").waitFor();
  result.cancelled = await page.locator(".jobhead .badge").innerText();
  await page.goto(order.root);
  await page.locator("#list").waitFor();
  result.submitter = { upload: await page.locator("#upload").count(), pause: await page.locator("#pause").count(), names: await page.locator("#jobs .name").allTextContents() };
  await page.goto(`${order.root}/jobs/${order.ids["head-neck"]}`);
  result.foreign = await page.locator(".problem .code").innerText();
  await look(page, "problem-foreign");

  // The session ends while the page is open.
  await page.goto(order.root);
  await page.locator("#live:not(.lost):visible").waitFor();
  await ask("end");
  await page.locator("#q").fill("spine");
  await page.locator("#banner").filter({ hasText: "session has ended" }).waitFor();
  await look(page, "session-ended");
  await page.getByRole("link", { name: "Sign in again" }).click();
  await login(page, "adam", order.password);
  await page.locator("#pause").waitFor();
  result.returned = new URL(page.url()).search;
  await page.goto(order.root);
  await page.locator("html.scripted").waitFor();
  await page.locator("#pause").click();
  await page.locator("#paused .notice").waitFor();
  result.admin = { names: (await page.locator("#jobs .name").allTextContents()).length, paused: await page.locator("#pause").innerText() };
  await page.locator("#pause").click();
  await page.locator("#paused .notice").waitFor({ state: "detached" });

  // Without scripts: sign in, bring a scan, see it in the list, cancel nothing, log out.
  const plain = await open({ flags: { javaScriptEnabled: false } });
  await plain.goto(order.url);
  await login(plain, "anna", order.password);
  await plain.locator('input[name="files"]').setInputFiles(order.scan);
  await plain.getByRole("button", { name: "Upload" }).click();
  await plain.locator(".job", { hasText: "plain" }).waitFor();
  result.plain = [new URL(plain.url()).pathname, await plain.locator(".job", { hasText: "plain" }).locator(".badge").textContent()];
  await picture(plain, "no-scripts-list");
});
