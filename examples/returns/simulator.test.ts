import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { Bookkeeping } from './irregular.ts';
import { Simulation } from './simulator.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');

function events(seed: number, count: number) {
  const simulation = new Simulation(seed, () => NOW);
  return [...simulation.first(), ...Array.from({ length: count }, () => simulation.next())];
}

it('the same seed invents the same events, another seed others, and no id comes twice', () => {
  const some = events(7, 500);
  expect(events(7, 500)).toEqual(some);
  expect(events(8, 500)).not.toEqual(some);
  expect(new Set(some.map(({ id }) => id)).size).toBe(some.length);
  expect(some.every(({ source }) => source === 'urn:aios:simulation')).toBe(true);
});

it.each([1, 7, 20_111_209])(
  'the first events of seed %i hold a request that needs nobody and one that needs a person',
  (seed) => {
    const bookkeeping = new Bookkeeping();
    const found = events(seed, 0)
      .map((event) => ({ type: event.type, why: bookkeeping.take(event) }))
      .filter(({ type }) => type === 'return.requested');
    expect(found.map(({ why }) => why)).toEqual([undefined, 'more than is held']);
  },
);

it('every kind of irregular request comes, and most requests are ordinary', () => {
  const bookkeeping = new Bookkeeping();
  const reasons = events(7, 4000)
    .map((event) => ({ type: event.type, why: bookkeeping.take(event) }))
    .filter(({ type }) => type === 'return.requested')
    .map(({ why }) => why);
  expect(new Set(reasons)).toEqual(
    new Set([undefined, 'no customer', 'no purchase on record', 'more than is held', 'above the price paid']),
  );
  expect(reasons.filter((why) => why === undefined).length).toBeGreaterThan(reasons.length / 2);
});

it.each(['order.placed', 'return.requested'])('what is invented as %s keeps the contract', (type) => {
  const { schema } = parse(readFileSync(join(import.meta.dirname, 'contracts', `${type}.yaml`), 'utf8'));
  const ajv = new Ajv2020({ strict: false });
  addFormats.default(ajv);
  const valid = ajv.compile(schema);
  for (const event of events(7, 500))
    if (event.type === type) expect(valid(event.data), JSON.stringify(valid.errors)).toBe(true);
});
