import type { CloudEvent } from '../../src/kernel/cloudevent.ts';

const SOURCE = 'urn:aios:simulation';
const GOODS = [
  'TEA TOWEL',
  'GLASS LANTERN',
  'PAPER CHAIN KIT',
  'CAKE STAND',
  'WOODEN CRATE',
  'HAND WARMER',
  'LUNCH BAG',
  'ALARM CLOCK',
  'PICTURE FRAME',
  'TIN SET',
];
const COLOURS = ['RED', 'BLUE', 'GREEN', 'IVORY'];
const CUSTOMERS = 120;

interface Bought {
  /** null for a guest. */
  customer: string | null;
  product: string;
  description: string;
  quantity: number;
  unitPrice: number;
}

/** mulberry32: 32 bits of state, the same numbers for the same seed on every machine. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Invented orders and return requests of the same kinds as the real ones. Nothing here happened: the events say so in their source. One request in
 * eight is irregular on purpose.
 *
 * @example const simulation = new Simulation(7, () => Date.now()); simulation.first(); simulation.next();
 */
export class Simulation {
  readonly #random: () => number;
  readonly #now: () => number;
  readonly #run: string;
  readonly #bought: Bought[] = [];
  #number = 0;

  /** `run` keeps the ids of one start apart from those of another. */
  constructor(seed: number, now: () => number, run = String(seed)) {
    this.#random = seededRandom(seed);
    this.#now = now;
    this.#run = run;
  }

  /** What a newcomer finds at once: some history, a refund that needs nobody, and a case that needs a person. */
  first(): CloudEvent[] {
    const orders = Array.from({ length: 30 }, (_, i) => this.#order(30 - i));
    const [bought] = this.#bought as [Bought];
    return [
      ...orders,
      this.#request(bought, 1, bought.unitPrice),
      this.#request(bought, bought.quantity + 5, bought.unitPrice),
    ];
  }

  /** The next event. */
  next(): CloudEvent {
    if (this.#random() < 0.6) return this.#order(0);
    const bought = this.#pick(this.#bought);
    const irregular = this.#random();
    if (irregular < 0.04)
      return this.#request({ ...bought, customer: this.#customer() }, 1, bought.unitPrice);
    if (irregular < 0.08) return this.#request(bought, bought.quantity * 2, bought.unitPrice);
    if (irregular < 0.11) return this.#request(bought, 1, round(bought.unitPrice * 1.5));
    if (irregular < 0.125) return this.#request({ ...bought, customer: null }, 1, bought.unitPrice);
    return this.#request(
      bought,
      1 + Math.floor(this.#random() * Math.max(1, bought.quantity / 4)),
      bought.unitPrice,
    );
  }

  #order(daysAgo: number): CloudEvent {
    const customer = this.#customer();
    const time = new Date(this.#now() - daysAgo * 86_400_000).toISOString();
    const lines = Array.from({ length: 1 + Math.floor(this.#random() * 4) }, () => {
      const good = Math.floor(this.#random() * GOODS.length);
      const colour = Math.floor(this.#random() * COLOURS.length);
      return {
        product: `${22_000 + good}${'ABCD'[colour]}`,
        description: `${GOODS[good]} ${COLOURS[colour]}`,
        quantity: 2 + Math.floor(this.#random() * 24),
        unitPrice: round(0.5 + good * 1.25),
      };
    }).filter((line, index, all) => all.findIndex(({ product }) => product === line.product) === index);
    for (const line of lines) this.#bought.push({ customer, ...line });
    if (this.#bought.length > 2000) this.#bought.splice(0, 500);
    const orderId = this.#id('order');
    const total = round(lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0));
    return this.#event(orderId, 'order.placed', customer, time, {
      orderId,
      customerId: customer,
      country: 'Nowhere',
      placedAt: time,
      total,
      lines,
    });
  }

  #request({ customer, product, description }: Bought, quantity: number, unitPrice: number): CloudEvent {
    const time = new Date(this.#now()).toISOString();
    const returnId = this.#id('return');
    const refundValue = round(quantity * unitPrice);
    return this.#event(returnId, 'return.requested', customer, time, {
      returnId,
      customerId: customer,
      product,
      description,
      kind: 'product',
      quantity,
      unitPrice,
      refundValue,
      country: 'Nowhere',
      requestedAt: time,
    });
  }

  #event(
    id: string,
    type: string,
    customer: string | null,
    time: string,
    data: Record<string, unknown>,
  ): CloudEvent {
    return {
      specversion: '1.0',
      id,
      source: SOURCE,
      type,
      time,
      partitionkey: customer ?? 'guest',
      ...(type === 'return.requested' ? { subject: id } : {}),
      data: data as NonNullable<CloudEvent['data']>,
    };
  }

  #id(kind: string): string {
    return `sim-${this.#run}-${kind}-${++this.#number}`;
  }

  #customer(): string {
    return `S${10_000 + Math.floor(this.#random() ** 2 * CUSTOMERS)}`;
  }

  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)] as T;
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
