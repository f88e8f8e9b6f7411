// What runs in the browser. Text is set as text, never as HTML, so an error message cannot become a script.

export const script = `
"use strict";
const $ = (id) => document.getElementById(id);
const euro = (cents) => (cents / 100).toFixed(2) + " €";
const counts = {};
const node = (name, text, className) => {
  const element = document.createElement(name);
  element.textContent = text;
  if (className) element.className = className;
  return element;
};

async function api(method, path, body) {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  if ($("beta").checked) headers["x-beta"] = "true";
  const response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  const answer = await response.json().catch(() => ({ error: "answered " + response.status }));
  if (!response.ok) throw new Error(answer.error || "answered " + response.status);
  return answer;
}

function show(cart) {
  const lines = cart.lines.map((line) => {
    const item = node("li", "");
    const product = document.querySelector('[data-add="' + line.product + '"]');
    const name = product ? product.closest("article").querySelector("h3").textContent : line.product;
    const remove = node("button", "✕", "plain");
    remove.setAttribute("aria-label", "Remove " + name);
    remove.onclick = () => run(async () => show(await api("DELETE", "/api/cart/items/" + line.product)));
    item.append(node("span", line.quantity + " × " + name), remove);
    return item;
  });
  $("lines").replaceChildren(...(lines.length ? lines : [node("li", "Nothing in it yet.", "quiet")]));
  $("total").textContent = euro(cart.total);
  $("checkout").disabled = lines.length === 0;
}

function thank(charge) {
  counts[charge.version] = (counts[charge.version] || 0) + 1;
  const box = node("div", "", "answer " + (charge.version === "v1" ? "v1" : "v2"));
  box.append(node("span", "payment " + charge.version, "badge"));
  box.append(node("p", charge.receipt || "Paid " + euro(charge.amount) + ". Thank you!"));
  if (charge.loyaltyPoints) box.append(node("strong", "★ " + charge.loyaltyPoints + " loyalty points"));
  $("answer").replaceChildren(box);
  $("versions").textContent = Object.keys(counts).sort().map((name) => name + ": " + counts[name]).join(" · ");
}

async function run(work) {
  try {
    await work();
  } catch (error) {
    $("answer").replaceChildren(node("div", error.message, "answer bad"));
  }
}

for (const button of document.querySelectorAll("[data-add]")) {
  button.onclick = () => run(async () => {
    $("answer").replaceChildren();
    show(await api("POST", "/api/cart/items", { product: button.dataset.add, quantity: 1 }));
  });
}
$("checkout").onclick = () => run(async () => {
  $("checkout").disabled = true;
  try {
    thank(await api("POST", "/api/checkout"));
  } finally {
    show(await api("GET", "/api/cart"));
  }
});
for (const form of document.querySelectorAll("[data-chaos]")) {
  const version = form.dataset.chaos;
  const fill = (chaos) => {
    form.failureRate.value = Math.round(chaos.failureRate * 100);
    form.latencyMs.value = chaos.latencyMs;
  };
  form.closest("details").addEventListener("toggle", () => run(async () => fill(await api("GET", "/api/chaos/" + version))));
  form.onsubmit = (event) => {
    event.preventDefault();
    run(async () => fill(await api("PUT", "/api/chaos/" + version, {
      failureRate: Number(form.failureRate.value) / 100,
      latencyMs: Number(form.latencyMs.value),
    })));
  };
}
run(async () => show(await api("GET", "/api/cart")));
`;
