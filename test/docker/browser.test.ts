// The shop's page in a real browser, through the mesh's gateway: what a person clicks, and what they see.
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createMeshShop, type MeshShop } from "../support/mesh-shop.ts";

/** Debian's own; the set-up of the tests installs it. */
const executablePath = "/usr/bin/chromium";
const state: { shop: MeshShop | null; browser: Browser | null } = { shop: null, browser: null };
const shop = (): MeshShop => state.shop ?? expect.unreachable("the shop is not up");
const browser = (): Browser => state.browser ?? expect.unreachable("no browser was started");

beforeAll(async () => {
  expect(existsSync(executablePath), `${executablePath} is missing: npm test installs it`).toBe(true);
  state.shop = await createMeshShop({ name: "browser" });
  const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"];
  const [launched] = await Promise.all([chromium.launch({ executablePath, args }), shop().project.up()]);
  state.browser = launched;
});

afterAll(async () => {
  await state.browser?.close();
  await state.shop?.project.close();
});

/** A customer of their own: carts are kept by cookie. Nothing of the page may fail. */
async function visit() {
  const context = await browser().newContext();
  const page = await context.newPage();
  const problems: string[] = [];
  page.on("pageerror", ({ message }) => problems.push(message));
  page.on("response", (response) => {
    if (!response.ok()) problems.push(`${response.status()} ${response.url()}`);
  });
  // The page asks for its cart, and has its cookie with the answer: clicks before that are for carts of their own.
  const cart = page.waitForResponse((response) => response.url().endsWith("/api/cart"));
  await page.goto(shop().url);
  await (await cart).finished();
  return { page, problems, close: () => context.close() };
}

test("a customer puts things into the cart, checks out, and sees the order", async () => {
  const { page, problems, close } = await visit();
  const products = page.getByRole("region", { name: "Products" }).getByRole("article");
  expect(await products.count()).toBeGreaterThan(2);
  await page.getByText("Nothing in it yet.").waitFor();
  const names = await products.getByRole("heading").allTextContents();
  const lines = page.locator("#lines li");
  // One after the other, as a person does: of two answers under way the page shows the one that comes last.
  for (const [at, times] of [
    [0, 1],
    [1, 1],
    [1, 2],
  ] as const) {
    await products.nth(at).getByRole("button", { name: "Add to cart" }).click();
    await lines.filter({ hasText: `${times} × ${names[at]}` }).waitFor();
  }
  await lines.filter({ hasText: `1 × ${names[0]}` }).waitFor();
  await page.getByRole("button", { name: "Check out" }).click();
  await page
    .getByRole("status")
    .getByText(/^payment v[12]$/)
    .waitFor();
  await page.getByText("Nothing in it yet.").waitFor();
  expect(problems).toEqual([]);
  await close();
});

test("a beta tester is charged by v2, every time", async () => {
  const { page, problems, close } = await visit();
  await page.getByLabel("beta tester").check();
  for (let charges = 1; charges <= 5; charges++) {
    await page.getByRole("button", { name: "Add to cart" }).first().click();
    await page.locator("#checkout:enabled").click();
    await page.getByText(`v2: ${charges}`, { exact: true }).waitFor();
    // The cart is asked for once more after a charge.
    await page.getByText("Nothing in it yet.").waitFor();
  }
  expect(problems).toEqual([]);
  await close();
});
