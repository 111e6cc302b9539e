import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasDigits } from './digit-runs.ts';
import { exactJson, strictJson } from './exact-integers.ts';

/** What the number is that JSON.parse makes of these digits and JSON.stringify writes: by whole numbers without an end. */
function writtenAgain(digits: string): bigint {
  const [mantissa = '', exponent = '0'] = JSON.stringify(JSON.parse(digits)).split('e+');
  const [whole = '', fraction = ''] = mantissa.split('.');
  return BigInt(whole + fraction) * 10n ** BigInt(Number(exponent) - fraction.length);
}

const wholeNumbers = fc.oneof(
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n }),
  fc.bigInt({ min: 2n ** 53n - 20n, max: 2n ** 53n + 20n }),
  fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
  // As programs write a double with all its digits.
  fc.double({ min: 2 ** 50, max: 1e20, noNaN: true }).map((value) => BigInt(String(Math.trunc(value)))),
);

describe('whole numbers past 2^53', () => {
  it('are taken where they are written again as they came, and refused or texts where not', () => {
    fc.assert(
      fc.property(
        wholeNumbers,
        fc.constantFrom('', ' ', '"1234567890123456789",', '0.12345678901234567,'),
        (whole, before) => {
          const digits = String(whole);
          const text = `[${before}${before.endsWith(',') || before === '' ? '' : ' '}${digits}]`;
          const isKept = writtenAgain(digits) === whole;
          const at = (value: unknown) => (value as unknown[]).at(-1);
          expect(at(exactJson(text))).toBe(isKept ? Number(digits) : digits);
          if (isKept) expect(at(strictJson(text))).toBe(Number(digits));
          else
            expect(() => strictJson(text)).toThrow(
              expect.objectContaining({ code: 'request.inexact_number' }),
            );
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('are refused with their places, of which twenty are told', () => {
    const text = '{"a":[1,9007199254740993,{"b/c":-9007199254740995}],"d":"9007199254740993","e":1e300}';
    expect(() => strictJson(text, '/data')).toThrow(
      expect.objectContaining({
        code: 'request.inexact_number',
        issues: [
          {
            path: '/data/a/1',
            message: 'as a number it would be kept as 9007199254740992',
            found: '9007199254740993',
            expected: '"9007199254740993"',
          },
          expect.objectContaining({ path: '/data/a/2/b~1c', found: '-9007199254740995' }),
        ],
      }),
    );
    const many = JSON.stringify(Array.from({ length: 1_000 }, () => '9007199254740993')).replaceAll('"', '');
    expect(() => strictJson(many)).toThrow(
      expect.objectContaining({ issues: expect.objectContaining({ length: 20 }) }),
    );
  });

  it.each([
    '{"id":"9007199254740993","at":1763865000123456,"x":0.30000000000000004,"y":-12345678901234567.5}',
    '[9007199254740992, 1e21, 1000000000000000000000, 1.7976931348623157e308]',
    '{"9007199254740993":"a 9007199254740993, b","hex":"00f9007199254740993"}',
  ])('are told apart from all that looks alike: %s', (text) => {
    expect(strictJson(text)).toEqual(JSON.parse(text));
    expect(exactJson(text)).toEqual(JSON.parse(text));
  });

  it('are not looked for in what is nested too deep to be read to the digit', () => {
    const deep = `${'['.repeat(100_000)}9007199254740993${']'.repeat(100_000)}`;
    for (const read of [strictJson, exactJson])
      expect(() => read(deep)).toThrow(expect.objectContaining({ code: 'request.too_deep' }));
  });
});

it('finds so many digits in a row wherever they stand', () => {
  const texts = fc.array(fc.constantFrom('0', '12', '999999', 'a', '-', '.'), { maxLength: 30 });
  fc.assert(
    fc.property(texts, fc.integer({ min: 1, max: 20 }), (parts, count) => {
      const text = parts.join('');
      expect(hasDigits(text, count)).toBe(new RegExp(`\\d{${count}}`).test(text));
    }),
    { numRuns: 2_000 },
  );
});
