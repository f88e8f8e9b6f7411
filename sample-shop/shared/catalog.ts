// What the shop sells. Prices are in cents and come from here alone, never from a client.

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly text: string;
  readonly icon: string;
  readonly cents: number;
}

export const catalog: readonly Product[] = [
  { id: "kettle", name: "Kettle", text: "Boils a litre in two minutes", icon: "🫖", cents: 3490 },
  { id: "lamp", name: "Desk lamp", text: "Warm light, folds flat", icon: "💡", cents: 4900 },
  { id: "mug", name: "Mug", text: "Holds 400 ml, survives falls", icon: "☕", cents: 1250 },
  { id: "plant", name: "Ficus", text: "Forgives being forgotten", icon: "🪴", cents: 2200 },
  { id: "chair", name: "Chair", text: "For long evenings", icon: "🪑", cents: 12900 },
  { id: "radio", name: "Radio", text: "FM, and a real dial", icon: "📻", cents: 7990 },
];

export const productById: ReadonlyMap<string, Product> = new Map(catalog.map((product) => [product.id, product]));

/** How many of one product fit into a cart. */
export const quantityMax = 99;

export interface Line {
  readonly product: string;
  readonly quantity: number;
}

export function totalCents(lines: readonly Line[]): number {
  return lines.reduce((sum, line) => sum + (productById.get(line.product)?.cents ?? 0) * line.quantity, 0);
}

/** The line that `value` describes, or null when it names no product or no sensible quantity. */
export function parseLine(value: unknown): Line | null {
  if (typeof value !== "object" || value === null) return null;
  const { product, quantity = 1 } = value as { product?: unknown; quantity?: unknown };
  if (typeof product !== "string" || !productById.has(product)) return null;
  if (typeof quantity !== "number" || !Number.isInteger(quantity) || quantity < 1 || quantity > quantityMax)
    return null;
  return { product, quantity };
}
