import type { CloudEvent } from '../../src/kernel/cloudevent.ts';

interface Holding {
  bought: number;
  returned: number;
  /** Paid for one unit in the latest purchase. */
  price: number;
}

interface Line {
  product: string;
  quantity: number;
  unitPrice: number;
}

/**
 * Plain bookkeeping beside AIOS, to hold its decisions against: what a request contradicts in the shop's records, if anything.
 */
export class Bookkeeping {
  readonly #holdings = new Map<string, Holding>();

  /** Takes the next event; for a return request answers why it is irregular. */
  take({ type, data }: CloudEvent): string | undefined {
    if (type === 'order.placed') {
      const { customerId, lines } = data as unknown as { customerId: string | null; lines: Line[] };
      if (customerId !== null) for (const line of lines) this.#buy(customerId, line);
      return undefined;
    }
    const { customerId, product, kind, quantity, unitPrice } = data as unknown as Line & {
      customerId: string | null;
      kind: string;
    };
    if (customerId === null) return kind === 'adjustment' ? 'adjustment' : 'no customer';
    const key = `${customerId}/${product}`;
    const holding = this.#holdings.get(key);
    const why = irregularity(kind, quantity, unitPrice, holding);
    this.#holdings.set(key, {
      bought: 0,
      price: 0,
      ...holding,
      returned: (holding?.returned ?? 0) + quantity,
    });
    return why;
  }

  #buy(customer: string, { product, quantity, unitPrice }: Line): void {
    const key = `${customer}/${product}`;
    const known = this.#holdings.get(key);
    this.#holdings.set(key, {
      bought: (known?.bought ?? 0) + quantity,
      returned: known?.returned ?? 0,
      price: unitPrice,
    });
  }
}

function irregularity(
  kind: string,
  quantity: number,
  unitPrice: number,
  holding: Holding | undefined,
): string | undefined {
  if (kind === 'adjustment') return 'adjustment';
  if (!holding || holding.bought === 0) return 'no purchase on record';
  if (quantity > holding.bought - holding.returned) return 'more than is held';
  if (unitPrice > holding.price + 0.005) return 'above the price paid';
  return undefined;
}
