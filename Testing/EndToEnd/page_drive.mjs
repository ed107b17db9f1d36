// Drives our own page: list, first frame, keyboard, play, window, a damaged frame; prints one line of JSON.
const order = JSON.parse(process.argv[2]);
const { chromium } = await import(order.playwright);
const browser = await chromium.launch({ executablePath: order.chromium, headless: true, args: ["--no-sandbox"] });
const result = { errors: [], requests: 0, batches: 0, outside: [] };
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, colorScheme: order.scheme });
  const page = await context.newPage();
  page.on("pageerror", (error) => result.errors.push(String(error)));
  page.on("console", (message) => { if (message.type() === "error") result.errors.push(message.text()); });
  page.on("request", (request) => {
    if (!request.url().startsWith(order.url) && !/^(blob|data):/.test(request.url())) result.outside.push(request.url());
    if (/\/frames\/[\d,]+\/rendered/.test(request.url())) { result.requests++; if (request.url().includes(",")) result.batches++; }
  });
  const frame = () => page.evaluate(() => Number(document.body.dataset.frame || 0));
  const until = (wanted) => page.waitForFunction((n) => Number(document.body.dataset.frame || 0) === n, wanted, { timeout: 20000 });
  await page.goto(`${order.url}/${order.hash || ""}`);
  await page.getByText(order.title).first().click();
  await until(1);
  result.summary = await page.locator("#summary").innerText();
  await page.keyboard.press("ArrowRight"); await until(2);
  await page.keyboard.press("End"); await until(order.frames);
  await page.keyboard.press("Home"); await until(1);
  await page.keyboard.press("PageDown"); await until(11);
  await page.keyboard.press("Space");
  await page.waitForTimeout(2000);
  result.played = await frame();
  await page.keyboard.press("Space");
  await page.waitForTimeout(600);
  await page.locator("details summary").click();
  await page.screenshot({ path: `${order.pictures}/page-${order.scheme}.png` });
  await page.locator("#level").fill("40"); await page.locator("#level").press("Enter");
  await page.waitForTimeout(800);
  result.level = await page.locator("#level").inputValue();
  if (order.broken) {
    await page.getByText(order.broken).first().click();
    await page.waitForFunction(() => Number(document.body.dataset.frame || 0) === 1 && document.querySelector("#count").innerText === "of 5");
    await page.locator("#number").fill("3"); await page.locator("#number").press("Enter");
    await page.locator("#broken").waitFor({ state: "visible", timeout: 10000 });
    result.broken = await page.locator("#broken").innerText();
    await page.screenshot({ path: `${order.pictures}/page-broken-${order.scheme}.png` });
  }
} catch (error) { result.failure = String(error).slice(0, 400); }
console.log("RESULT " + JSON.stringify(result));
await browser.close();
