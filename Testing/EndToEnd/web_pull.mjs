// Fetching a study from a PACS: the form, a study that is there, one that is not.
import { open, order, picture, result, run, violations } from "./web_drive.mjs";

const fetched = async (page, uid) => {
  await page.locator("#pull-study").fill(uid);
  await page.getByRole("button", { name: "Fetch", exact: true }).click();
};

await run(async () => {
  const page = await open();
  await page.goto(order.url);
  await page.getByText("Fetch a study from a PACS").click();
  result.source = await page.locator("#pull-source").inputValue();
  await fetched(page, "not a uid");
  result.refusedByForm = await page.locator("#pulls li").count() === 0;
  await fetched(page, order.study);
  await page.locator("#pulls .good").waitFor();
  result.done = await page.locator("#pulls .good .said").innerText();
  await page.locator("#jobs .job").first().waitFor();
  result.job = await page.locator("#jobs .name").first().innerText();
  await fetched(page, "1.2.3.4.5");
  await page.locator("#pulls .bad").waitFor();
  result.missing = await page.locator("#pulls .bad .said").innerText();
  result.violations = await violations(page);
  await picture(page, "pull");
  const phone = await open({ phone: true, dark: true, flags: { storageState: await page.context().storageState() } });
  await phone.goto(order.root);
  await phone.getByText("Fetch a study from a PACS").click();
  result.violations.push(...await violations(phone));
  result.wide = await phone.evaluate(() => document.documentElement.scrollWidth);
});
