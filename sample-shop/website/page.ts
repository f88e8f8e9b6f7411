// The shop's one page: everything inline, no asset from anywhere else, usable with keyboard and screen reader.
import type { Product } from "../shared/catalog.ts";
import { script } from "./page-script.ts";
import { style } from "./page-style.ts";

export function page(products: readonly Product[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Corner Shop</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
  <h1>Corner Shop</h1>
  <label class="beta"><input type="checkbox" id="beta"> beta tester</label>
</header>
<main>
  <section aria-label="Products" class="products">${products.map(card).join("")}</section>
  <aside>
    <section class="panel" aria-label="Cart">
      <h2>Your cart</h2>
      <ul id="lines"><li class="quiet">Nothing in it yet.</li></ul>
      <p class="total"><span>Total</span> <output id="total">0.00 €</output></p>
      <button id="checkout" disabled>Check out</button>
      <div id="answer" role="status" aria-live="polite"></div>
    </section>
    <section class="panel" aria-label="Charges by version">
      <h2>Who charged you</h2>
      <p id="versions" class="quiet">Each charge shows which version of the payment service handled it.</p>
    </section>
    <details class="panel">
      <summary>Make payment misbehave</summary>
      ${["v1", "v2"].map(chaosForm).join("")}
    </details>
  </aside>
</main>
<script>${script}</script>
</body>
</html>
`;
}

function card({ id, name, text, icon, cents }: Product): string {
  return `<article>
    <div class="icon" aria-hidden="true">${icon}</div>
    <h3>${escapeHtml(name)}</h3>
    <p>${escapeHtml(text)}</p>
    <div class="buy"><strong>${(cents / 100).toFixed(2)} €</strong><button data-add="${id}">Add to cart</button></div>
  </article>`;
}

function chaosForm(version: string): string {
  return `<form data-chaos="${version}">
    <strong>${version}</strong>
    <label>fails <input name="failureRate" type="number" min="0" max="100" step="1" value="0"> %</label>
    <label>delay <input name="latencyMs" type="number" min="0" max="60000" step="10" value="0"> ms</label>
    <button>Set</button>
  </form>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
