import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CloudEvent } from '../../src/kernel/cloudevent.ts';
import { Bookkeeping } from './irregular.ts';
import { openRetail, type Retail, type RetailCounts, splitCsv } from './retail.ts';

const HEAD = 'row,invoice_no,stock_code,description,quantity,invoice_date,unit_price,customer_id,country';
const data = join(import.meta.dirname, '..', '..', '..', 'shared', 'data', 'online-retail');
const orders = join(data, 'retail.csv.gz');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aios-retail-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function all(retail: Retail): Promise<CloudEvent[]> {
  const events: CloudEvent[] = [];
  for await (const event of retail.events()) events.push(event);
  return events;
}

async function read(
  rows: readonly string[],
  head = HEAD,
): Promise<{ events: CloudEvent[]; counts: RetailCounts }> {
  const path = join(folder, 'retail.csv');
  await writeFile(path, [head, ...rows, ''].join('\n'));
  const retail = openRetail(path);
  const events = await all(retail);
  return { events, counts: retail.counts };
}

describe('the reader of a retail file', () => {
  it('makes one order of an invoice, its articles merged with the mean price, codes in upper case', async () => {
    const { events, counts } = await read([
      '1,536365,85123a,"HEART, ""WHITE"" ",6,2010-12-01T08:26:00,2.50,17850,United Kingdom',
      '2,536365,85123A,HEART,2,2010-12-01T08:26:00,4.50,17850,United Kingdom',
      '3,536365,22752,BOXES,1,2010-12-01T08:26:00,0,17850,United Kingdom',
    ]);
    expect(events).toEqual([
      {
        specversion: '1.0',
        id: 'order-536365-1',
        source: 'urn:aios:returns:retail',
        type: 'order.placed',
        time: '2010-12-01T08:26:00Z',
        partitionkey: '17850',
        data: {
          orderId: '536365',
          customerId: '17850',
          country: 'United Kingdom',
          placedAt: '2010-12-01T08:26:00Z',
          total: 24,
          lines: [
            { product: '85123A', description: 'HEART, "WHITE"', quantity: 8, unitPrice: 3 },
            { product: '22752', description: 'BOXES', quantity: 1, unitPrice: 0 },
          ],
        },
      },
    ]);
    expect(counts).toMatchObject({ rows: 3, orders: 1, orderLines: 3, mergedLines: 1, withoutPrice: 1 });
  });

  it.each([
    ['22752', 'product'],
    ['85123a', 'product'],
    ['gift_0001_20', 'product'],
    ['DCGS0058', 'product'],
    ['POST', 'adjustment'],
    ['M', 'adjustment'],
    ['D', 'adjustment'],
    ['C2', 'adjustment'],
    ['BANK CHARGES', 'adjustment'],
  ])('a cancellation of %s is a request of kind %s', async (code, kind) => {
    const { events } = await read([`7,C536379,${code},Text,-3,2010-12-01T09:41:00,1.5,14527,United Kingdom`]);
    expect(events).toMatchObject([
      {
        id: 'return-7',
        type: 'return.requested',
        subject: 'C536379/7',
        partitionkey: '14527',
        data: { returnId: '7', kind, quantity: 3, unitPrice: 1.5, refundValue: 4.5 },
      },
    ]);
  });

  it('a line without a customer belongs to a guest', async () => {
    const { events } = await read(['7,C536379,22752,,-1,2010-12-01T09:41:00,1,,France']);
    expect(events).toMatchObject([{ partitionkey: 'guest', data: { customerId: null } }]);
  });

  it.each([
    ['a write-off', '1,536365,22752,damaged,-5,2010-12-01T08:26:00,0,,France', 'writeOffs'],
    ['a bad-debt booking', '1,A536365,B,Adjust,1,2010-12-01T08:26:00,-11062.06,,France', 'badDebt'],
    ['an empty quantity', '1,536365,22752,X,,2010-12-01T08:26:00,1,17850,France', 'malformed'],
    ['words for a price', '1,536365,22752,X,1,2010-12-01T08:26:00,cheap,17850,France', 'malformed'],
    ['a time of another form', '1,536365,22752,X,1,01/12/2010 08:26,1,17850,France', 'malformed'],
    ['a return of nothing', '1,C536365,22752,X,0,2010-12-01T08:26:00,1,17850,France', 'malformed'],
    ['a return below zero', '1,C536365,22752,X,-1,2010-12-01T08:26:00,-1,17850,France', 'malformed'],
    ['a row cut short', '1,536365', 'malformed'],
  ] as const)('%s is left out and counted', async (_, row, counter) => {
    const { events, counts } = await read([row]);
    expect(events).toEqual([]);
    expect(counts).toMatchObject({ rows: 1, [counter]: 1 });
  });

  it('refuses a file of another form, one that is cut off, and one that is not there', async () => {
    await expect(read([], 'row,invoice_no,quantity')).rejects.toThrow(
      'the column stock_code, invoice_date, unit_price, customer_id is missing',
    );
    const cut = join(folder, 'cut.csv.gz');
    await writeFile(cut, gzipSync(`${HEAD}\n`.repeat(1000)).subarray(0, 60));
    await expect(all(openRetail(cut))).rejects.toThrow('unexpected end of file');
    expect(() => openRetail(join(folder, 'none.csv'))).toThrow('ENOENT');
  });
});

describe.skipIf(!existsSync(orders))('the real year (../shared/data/online-retail)', () => {
  it('every request is read, and what is irregular agrees with the derivation that came with the data', async () => {
    const derived = derivation();
    const retail = openRetail(orders);
    const bookkeeping = new Bookkeeping();
    const differing: unknown[] = [];
    for await (const event of retail.events()) {
      const why = bookkeeping.take(event);
      if (event.type !== 'return.requested') continue;
      const { returnId } = event.data as { returnId: string };
      if (derived.get(returnId) !== why) differing.push([returnId, why, derived.get(returnId)]);
      derived.delete(returnId);
    }
    expect(derived.size).toBe(0);
    // An order of the same minute with a higher number stands before it in the file: the price paid is that order's.
    expect(differing).toEqual([['62713', 'above the price paid', undefined]]);
    expect(retail.counts).toEqual({
      rows: 541_909,
      orders: 20_726,
      orderLines: 531_282,
      mergedLines: 10_537,
      returns: 9_288,
      writeOffs: 1_336,
      badDebt: 3,
      withoutPrice: 1_179,
      malformed: 0,
    });
  });
});

/** Why a request is irregular by the columns of returns.csv.gz, which other code made. */
function derivation(): Map<string, string | undefined> {
  const [head, ...rows] = gunzipSync(readFileSync(join(data, 'returns.csv.gz')))
    .toString()
    .trimEnd()
    .split('\n')
    .map(splitCsv) as [string[], ...string[][]];
  return new Map(
    rows.map((cells) => {
      const cell = (name: string) => cells[head.indexOf(name)]!;
      return [cell('row'), reason(cell)];
    }),
  );
}

function reason(cell: (name: string) => string): string | undefined {
  const number = (name: string) => Number(cell(name));
  if (cell('kind') === 'adjustment') return 'adjustment';
  if (cell('match') === 'no-customer') return 'no customer';
  if (cell('match') !== 'matched') return 'no purchase on record';
  if (number('quantity_returned') > number('bought_before') - number('returned_before'))
    return 'more than is held';
  if (number('refund_unit_price') > number('purchase_unit_price') + 0.005) return 'above the price paid';
  return undefined;
}
