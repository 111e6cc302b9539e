import { expect, it } from 'vitest';
import type { CloudEvent } from '../../src/kernel/cloudevent.ts';
import { Bookkeeping } from './irregular.ts';

const TIME = '2010-12-01T08:26:00Z';

function event(type: string, data: object): CloudEvent {
  return {
    specversion: '1.0',
    id: '1',
    source: 'urn:test',
    type,
    time: TIME,
    data: data as NonNullable<CloudEvent['data']>,
  };
}

function order(quantity: number, unitPrice: number, customerId: string | null = 'c'): CloudEvent {
  return event('order.placed', { customerId, lines: [{ product: 'p', quantity, unitPrice }] });
}

function request(quantity: number, unitPrice: number, more: object = {}): CloudEvent {
  return event('return.requested', {
    customerId: 'c',
    product: 'p',
    kind: 'product',
    quantity,
    unitPrice,
    ...more,
  });
}

it.each<[string, CloudEvent[], string | undefined]>([
  ['what was bought, at its price', [order(2, 3), request(2, 3)], undefined],
  ['a rounding of half a penny', [order(2, 3), request(1, 3.005)], undefined],
  ['a price above it', [order(2, 3), request(1, 3.01)], 'above the price paid'],
  ['the price of an older lot', [order(2, 3), order(2, 2), request(1, 3)], 'above the price paid'],
  ['two lots together', [order(2, 3), order(2, 3), request(4, 3)], undefined],
  ['more than was bought', [order(2, 3), request(3, 3)], 'more than is held'],
  ['a second line of the same minute', [order(2, 3), request(2, 3), request(1, 3)], 'more than is held'],
  ['nothing before it', [request(1, 3)], 'no purchase on record'],
  ['a return before the purchase', [request(1, 3), order(1, 3), request(1, 3)], 'more than is held'],
  ['an order of somebody else', [order(2, 3, 'other'), request(1, 3)], 'no purchase on record'],
  ['a guest', [order(2, 3, null), request(1, 3, { customerId: null })], 'no customer'],
  ['an adjustment', [order(2, 3), request(1, 3, { kind: 'adjustment' })], 'adjustment'],
  ['an adjustment of a guest', [request(1, 3, { customerId: null, kind: 'adjustment' })], 'adjustment'],
])('the books judge a return of %s', (_, history, expected) => {
  const bookkeeping = new Bookkeeping();
  const answers = history.map((one) => bookkeeping.take(one));
  expect(answers.at(-1)).toBe(expected);
});
