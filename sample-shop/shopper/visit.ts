// What a customer does: looks at the page, puts something into the cart, checks out. One step is one request.
import { catalog } from "../shared/catalog.ts";
import type { Answer, HttpClient } from "../shared/client.ts";

export type Outcome =
  | { readonly kind: "page" }
  | { readonly kind: "cart" }
  | { readonly kind: "charge"; readonly version: string };

/** Makes the steps of one visit after another; each answers what came of it, and rejects when it failed. */
export function* visits(http: HttpClient, url: string): Generator<() => Promise<Outcome>, never> {
  for (let count = 0; ; count++) {
    const cookie = `cart=shopper-${process.pid}-${count}`;
    const product = catalog[count % catalog.length]?.id ?? "mug";
    yield async () => {
      expectOk(await http.call({ method: "GET", url }));
      return { kind: "page" };
    };
    // The checkout waits for its own cart, however late that is: steps are sent on time, answers come when they come.
    let added: Promise<unknown> = Promise.resolve();
    yield async () => {
      const filling = http
        .call({ method: "POST", url: `${url}/api/cart/items`, headers: { cookie }, body: { product } })
        .then(expectOk);
      added = filling.catch(() => undefined);
      await filling;
      return { kind: "cart" };
    };
    yield async () => {
      await added;
      const { json } = expectOk(await http.call({ method: "POST", url: `${url}/api/checkout`, headers: { cookie } }));
      const version = typeof json === "object" && json !== null && "version" in json ? String(json.version) : "unknown";
      return { kind: "charge", version };
    };
  }
}

function expectOk(answer: Answer): Answer {
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text.slice(0, 200)}`);
  return answer;
}
