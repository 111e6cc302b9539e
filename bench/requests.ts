/** Orders and return requests as the returns example knows them, made from a number alone: the same number, the same event. */
export const ORDERS = 4000;
const PRODUCTS = 200;
const UNITS = 1_000_000; // every request returns one unit of what was bought: none runs out during a bench
const ORDERED_AT = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

export function orderOf(index: number): Record<string, unknown> {
  const time = new Date(ORDERED_AT + (index % 30) * DAY_MS).toISOString();
  return {
    specversion: '1.0',
    id: `order-${index}`,
    source: 'urn:aios:bench',
    type: 'order.placed',
    time,
    partitionkey: customerOf(index),
    data: {
      orderId: `order-${index}`,
      customerId: customerOf(index),
      country: 'United Kingdom',
      placedAt: time,
      total: UNITS * 2.5,
      lines: [{ product: productOf(index), description: 'BENCH GOODS', quantity: UNITS, unitPrice: 2.5 }],
    },
  };
}

/** A return of one unit from order `index mod ORDERS`. */
export function returnRequest(index: number): Record<string, unknown> {
  const order = index % ORDERS;
  const time = new Date(ORDERED_AT + 40 * DAY_MS + index).toISOString();
  return {
    specversion: '1.0',
    id: `return-${index}`,
    source: 'urn:aios:bench',
    type: 'return.requested',
    time,
    partitionkey: customerOf(order),
    data: {
      returnId: `return-${index}`,
      customerId: customerOf(order),
      product: productOf(order),
      kind: 'product',
      quantity: 1,
      unitPrice: 2.5,
      refundValue: 2.5,
      country: 'United Kingdom',
      requestedAt: time,
    },
  };
}

function customerOf(order: number): string {
  return `c${order}`;
}

function productOf(order: number): string {
  return `P${order % PRODUCTS}`;
}
