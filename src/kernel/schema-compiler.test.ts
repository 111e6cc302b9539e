import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { areMultiples, isMultipleOf } from './multiples.ts';
import { compileSchema } from './schema.ts';

const fits = (schema: Parameters<typeof compileSchema>[0], value: unknown) =>
  compileSchema(schema)(value).length === 0;

describe('a compiled schema', () => {
  it('takes every amount of whole cents as a multiple of 0.01, and no other', () => {
    const isAmount = compileSchema({ multipleOf: 0.01 });
    for (let cents = -5000; cents <= 5000; cents++) {
      expect(isAmount(cents / 100)).toEqual([]);
      expect(isAmount((cents * 10 + 5) / 1000)).toHaveLength(1);
    }
  });

  it.each([
    [0.3, 0.1, true],
    [0.30000000000000004, 0.1, false],
    [1, 1e-9, true],
    [1.5e-9, 1e-9, false],
    [-0.6, 0.2, true],
    [0, 0.2, true],
    [1e22, 3, false],
    [12_345_678_901_234.56, 0.01, true],
    [1e308, 0.123456789, false],
    [Number.POSITIVE_INFINITY, 1, false],
  ])('of %f as a multiple of %f: %s', (value, step, wanted) => {
    expect(isMultipleOf(value, step)).toBe(wanted);
    expect(fits({ multipleOf: step }, value)).toBe(wanted);
  });

  it('finds multiples the short way as the long way does', () => {
    const step = fc.constantFrom(0.01, 0.05, 0.25, 0.3, 1, 7, 1e-5, 1e-8);
    fc.assert(
      fc.property(step, fc.integer({ min: 1, max: 10 ** 9 }), fc.nat(8), (unit, digits, places) => {
        const value = Number(`${digits}e-${places}`);
        return isMultipleOf(value, unit) === areMultiples([value], unit);
      }),
      { numRuns: 2000 },
    );
  });

  it('says what a number must be a multiple of', () => {
    expect(compileSchema({ multipleOf: 0.05 })(0.07)).toEqual([
      { path: '', message: 'must be multiple of 0.05', found: '0.07' },
    ]);
  });

  it.each([
    [[1, 2, 3], undefined],
    [[1, '1', true, 'true', null, 'null', [1], '[1]', { a: 1 }, '{"a":1}'], undefined],
    [[{ a: 1, b: 2 }, 3, { b: 2, a: 1 }], 'items ## 0 and 2'],
    [
      [
        [1, [2]],
        [1, [2]],
      ],
      'items ## 0 and 1',
    ],
    [['__proto__', 'a', '__proto__'], 'items ## 0 and 2'],
    [[Number.NaN, { a: Number.NaN }, { a: Number.NaN }], undefined],
  ])('tells of %j which items are the same: %s', (items, places) => {
    const said = compileSchema({ uniqueItems: true })(items).map(({ message }) => message);
    expect(said).toEqual(places === undefined ? [] : [expect.stringContaining(places)]);
    expect(fits({ uniqueItems: false }, items)).toBe(true);
  });

  it('takes linear time to tell that all items differ', () => {
    const items = Array.from({ length: 60_000 }, (_, a) => ({ a })); // 750 kB; each with each other takes a minute
    const startedMs = performance.now();
    expect(fits({ type: 'array', uniqueItems: true, items: { type: 'object' } }, items)).toBe(true);
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });

  it.each(['constructor', 'toString', 'valueOf'])('takes %s for a name like any other', (name) => {
    expect(fits({ properties: { [name]: { type: 'string' } } }, {})).toBe(true);
    expect(fits({ properties: { [name]: { type: 'string' } } }, { [name]: 1 })).toBe(false);
    expect(fits({ type: 'object', required: [name] }, {})).toBe(false);
    expect(fits({ type: 'object', required: [name] }, { [name]: 1 })).toBe(true);
    expect(fits({ dependentRequired: { [name]: ['a'] } }, {})).toBe(true);
  });
});
