// What the scripts share: the browser, questions to the test that started them, accessibility, pictures.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

export const order = JSON.parse(process.argv[2]);
const { chromium } = await import(order.playwright);
const FLAGS = [
  "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--no-first-run", "--disable-quic",
];
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
export async function ask(what) {
  console.log(`ASK ${what}`);
  return JSON.parse((await answers.next()).value);
}

export const result = { errors: [], outside: [] };
const browser = await chromium.launch({ executablePath: order.chromium, headless: true, args: FLAGS });
export async function open({ phone = false, dark = false, flags = {} } = {}) {
  const context = await browser.newContext({
    viewport: phone ? { width: 390, height: 844 } : { width: 1280, height: 860 }, colorScheme: dark ? "dark" : "light", isMobile: phone, hasTouch: phone,
    deviceScaleFactor: phone ? 2 : 1, acceptDownloads: true, timezoneId: "UTC", locale: "en-GB", ...flags,
  });
  context.setDefaultTimeout(90000); // a busy machine is no reason to fail
  const page = await context.newPage();
  page.on("pageerror", (error) => result.errors.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !/Failed to load resource|net::ERR_/.test(text)) result.errors.push(text);
  });
  page.on("request", (request) => { if (!request.url().startsWith(order.root) && !/^(blob|data):/.test(request.url())) result.outside.push(request.url()); });
  return page;
}

// Serious and critical violations only; colours are among them, and alone may differ in another scheme.
const axe = await readFile(order.axe, "utf8");
export async function violations(page, coloursOnly = false) {
  if (!await page.evaluate(() => Boolean(globalThis.axe))) await page.evaluate(axe);
  const options = { resultTypes: ["violations"], ...(coloursOnly ? { runOnly: ["color-contrast"] } : {}) };
  const found = await page.evaluate(async (given) => (await globalThis.axe.run(document, given)).violations, options);
  return found.filter((one) => ["serious", "critical"].includes(one.impact)).map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}
export async function picture(page, name, options = {}) {
  if (!order.keep) return;
  await page.waitForTimeout(200);
  await page.screenshot({ path: `${order.keep}/${name}.png`, ...options });
}

export async function run(work) {
  try { await work(); } catch (error) {
    result.failure = String(error.stack || error).slice(0, 1500);
    for (const [index, page] of browser.contexts().flatMap((context) => context.pages()).entries()) {
      await page.screenshot({ path: `${order.pictures}/failure-${index}.png` }).catch(() => {});
    }
  }
  console.log(`RESULT ${JSON.stringify(result)}`);
  await browser.close();
  process.exit(0);
}
