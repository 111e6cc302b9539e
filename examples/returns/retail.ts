import { createReadStream, type ReadStream, statSync } from 'node:fs';
import { type Duplex, pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { CloudEvent } from '../../src/kernel/cloudevent.ts';

const SOURCE = 'urn:aios:returns:retail';
// Goods are 5 digits and up to two letters, gift vouchers, and two house codes; every other word books money, not goods.
const GOODS = /^(\d{5}[A-Z]{0,2}|GIFT_0001_.*|DCGS.*|PADS)$/;
const MINUTES = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/;
const COLUMNS = ['row', 'invoice_no', 'stock_code', 'quantity', 'invoice_date', 'unit_price', 'customer_id'];

/** What was left out on the way, and why: nothing disappears silently. */
export interface RetailCounts {
  rows: number;
  orders: number;
  orderLines: number;
  /** Lines of an article that stood more than once in an invoice, merged into one with the mean price. */
  mergedLines: number;
  returns: number;
  writeOffs: number;
  badDebt: number;
  /** Lines of an order without a price above zero: gifts and corrections. They are bought units all the same. */
  withoutPrice: number;
  /** Rows that say nothing usable: no number where one belongs, no time, a return of nothing. Left out. */
  malformed: number;
}

export interface Retail {
  readonly counts: RetailCounts;
  /** How much of the file has been read, 0 to 1. */
  fraction(): number;
  /** Events in the order of the file, which is that of time. */
  events(): AsyncGenerator<CloudEvent>;
}

interface Line {
  row: string;
  invoice: string;
  product: string;
  description: string;
  quantity: number;
  /** The shop's local time without a zone, read as UTC: only differences matter here. */
  time: string;
  unitPrice: number;
  customer: string | null;
  country: string;
}

/**
 * Reads a file of the form that the example's README describes (CSV, gzip or plain) as `order.placed` (one per invoice) and
 * `return.requested` (one per cancellation line). Ids come from the file, so a second replay adds nothing.
 *
 * @example for await (const event of openRetail('retail.csv.gz').events()) await publish(event)
 */
export function openRetail(path: string): Retail {
  const counts: RetailCounts = {
    rows: 0,
    orders: 0,
    orderLines: 0,
    mergedLines: 0,
    returns: 0,
    writeOffs: 0,
    badDebt: 0,
    withoutPrice: 0,
    malformed: 0,
  };
  const { size } = statSync(path); // throws here, where somebody listens, when there is no file
  const file = createReadStream(path);
  async function* events(): AsyncGenerator<CloudEvent> {
    let order: Line[] = [];
    for await (const line of lines(file, path)) {
      counts.rows++;
      if (order.length > 0 && order[0]!.invoice !== line.invoice) {
        yield placed(order, counts);
        order = [];
      }
      if (!isUsable(line)) counts.malformed++;
      else if (line.invoice.startsWith('C')) yield requested(line, counts);
      else if (line.invoice.startsWith('A')) counts.badDebt++;
      else if (line.quantity <= 0) counts.writeOffs++;
      else order.push(line);
    }
    if (order.length > 0) yield placed(order, counts);
  }
  return { counts, events, fraction: () => file.bytesRead / size };
}

async function* lines(file: ReadStream, path: string): AsyncGenerator<Line> {
  let columns: Map<string, number> | undefined;
  for await (const text of textLines(file, path)) {
    const cells = splitCsv(text);
    if (!columns) {
      columns = new Map(cells.map((name, index) => [name, index]));
      const missing = COLUMNS.filter((name) => !columns!.has(name));
      if (missing.length > 0)
        throw new Error(
          `${path}: the column ${missing.join(', ')} is missing; the file is not of the form that the README describes`,
        );
      continue;
    }
    const cell = (name: string) => cells[columns!.get(name)!] ?? '';
    yield {
      row: cell('row'),
      invoice: cell('invoice_no'),
      product: cell('stock_code').toUpperCase(),
      description: cell('description').trim(),
      quantity: numberOf(cell('quantity')),
      time: `${cell('invoice_date')}Z`,
      unitPrice: numberOf(cell('unit_price')),
      customer: cell('customer_id') || null,
      country: cell('country'),
    };
  }
}

/** Not by readline: it loses the errors of its input, and a file that is cut off must not look like a short one. */
async function* textLines(file: ReadStream, path: string): AsyncGenerator<string> {
  const input: ReadStream | Duplex = path.endsWith('.gz')
    ? pipeline(file, createGunzip(), () => {}) // the error reaches the loop below
    : file;
  input.setEncoding('utf8');
  let rest = '';
  for await (const chunk of input as AsyncIterable<string>) {
    const texts = (rest + chunk).split(/\r?\n/);
    rest = texts.pop()!;
    yield* texts;
  }
  if (rest) yield rest;
}

/** A write-off may lack a price, and a return may cost nothing; a return of no units cannot be decided. */
function isUsable({ invoice, product, quantity, time, unitPrice }: Line): boolean {
  if (!invoice || !product || !MINUTES.test(time.slice(0, -1))) return false;
  if (!Number.isFinite(quantity) || !Number.isFinite(unitPrice)) return false;
  return !invoice.startsWith('C') || (quantity !== 0 && unitPrice >= 0);
}

/** A cell without a number is none, not zero. */
function numberOf(cell: string): number {
  return cell.trim() === '' ? Number.NaN : Number(cell);
}

/** The cells of one line of RFC 4180; the data has no line breaks inside quotes. */
export function splitCsv(text: string): string[] {
  const cells: string[] = [];
  for (let at = 0; at <= text.length; ) {
    if (text[at] === '"') {
      let cell = '';
      for (at++; at < text.length; at++) {
        if (text[at] !== '"') cell += text[at];
        else if (text[at + 1] === '"') cell += text[at++];
        else break;
      }
      cells.push(cell);
      at += 2;
    } else {
      const comma = text.indexOf(',', at);
      const end = comma === -1 ? text.length : comma;
      cells.push(text.slice(at, end));
      at = end + 1;
    }
  }
  return cells;
}

function placed(order: readonly Line[], counts: RetailCounts): CloudEvent {
  const [{ invoice, time, customer, country }] = order as [Line];
  const articles = new Map<
    string,
    { product: string; description: string; quantity: number; value: number }
  >();
  for (const { product, description, quantity, unitPrice } of order) {
    counts.orderLines++;
    if (unitPrice <= 0) counts.withoutPrice++;
    const known = articles.get(product);
    if (known) {
      counts.mergedLines++;
      known.quantity += quantity;
      known.value += quantity * unitPrice;
    } else articles.set(product, { product, description, quantity, value: quantity * unitPrice });
  }
  counts.orders++;
  const articleLines = [...articles.values()].map(({ value, ...line }) => ({
    ...line,
    unitPrice: round(value / line.quantity, 4),
  }));
  const total = round(
    [...articles.values()].reduce((sum, { value }) => sum + value, 0),
    2,
  );
  return {
    specversion: '1.0',
    id: `order-${invoice}-${order[0]!.row}`,
    source: SOURCE,
    type: 'order.placed',
    time,
    partitionkey: customer ?? 'guest',
    data: { orderId: invoice, customerId: customer, country, placedAt: time, total, lines: articleLines },
  };
}

function requested(
  { row, invoice, product, description, quantity, time, unitPrice, customer, country }: Line,
  counts: RetailCounts,
): CloudEvent {
  counts.returns++;
  const units = Math.abs(quantity);
  return {
    specversion: '1.0',
    id: `return-${row}`,
    source: SOURCE,
    type: 'return.requested',
    time,
    subject: `${invoice}/${row}`,
    partitionkey: customer ?? 'guest',
    data: {
      returnId: row,
      customerId: customer,
      product,
      description,
      kind: GOODS.test(product) ? 'product' : 'adjustment',
      quantity: units,
      unitPrice,
      refundValue: round(units * unitPrice, 2),
      country,
      requestedAt: time,
    },
  };
}

function round(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}
