import { Ajv } from 'ajv';
import formatsPlugin from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addFormats } from './formats.ts';
import { instantMs, isPlainInstant } from './instant.ts';

describe('The time of an event', () => {
  it('is what Date.parse says, in the form that Date writes', () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => {
        const text = date.toISOString();
        expect(instantMs(text)).toBe(date.getTime());
        expect(instantMs(text.replace(/\.\d{3}Z$/, 'Z'))).toBe(Math.floor(date.getTime() / 1000) * 1000);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    '2026-01-02T03:04:05+02:00',
    '2026-01-02T03:04:05.123456Z',
    '2026-01-02T03:04:05.1Z',
    '2026-01-02t03:04:05z',
    '0001-01-01T00:00:00Z',
    '0099-12-31T23:59:59.999Z',
    '9999-12-31T23:59:59.999Z',
    '2026-01-02T03:04:05.12+01:00',
    '2026-01-02T03:04-08:00',
  ])('is what Date.parse says of %s', (text) => {
    expect(instantMs(text)).toBe(Date.parse(text));
  });
});

describe('The format date-time', () => {
  const quick = addFormats(new Ajv()).compile({ type: 'string', format: 'date-time' });
  const known = new Ajv();
  (formatsPlugin as unknown as (ajv: Ajv) => void)(known);
  const slow = known.compile({ type: 'string', format: 'date-time' });

  it('takes what ajv-formats takes, near the edge of what is a time', () => {
    const two = (from: number, to: number) =>
      fc.integer({ min: from, max: to }).map((n) => String(n).padStart(2, '0'));
    const text = fc
      .tuple(two(0, 99), two(0, 99), two(0, 13), two(0, 32), two(0, 25), two(0, 61), two(0, 61))
      .chain(([century, year, month, day, hour, minute, second]) =>
        fc
          .constantFrom('Z', 'z', '.5Z', '.Z', '.12a4Z', '.123456789Z', '+02:00', '-00:30', '', 'ZZ', ' Z')
          .map((end) => `${century}${year}-${month}-${day}T${hour}:${minute}:${second}${end}`),
      );
    fc.assert(
      fc.property(
        text,
        fc.nat({ max: 25 }),
        fc.constantFrom('', ':', '٣', '/', 'T', ' '),
        (whole, at, other) => {
          const changed = whole.slice(0, at) + other + whole.slice(at + 1);
          for (const one of [whole, changed]) {
            expect(quick(one), one).toBe(slow(one));
            if (isPlainInstant(one))
              expect(new Date(instantMs(one)).toISOString().slice(0, 19)).toBe(one.slice(0, 19));
          }
        },
      ),
      { numRuns: 20_000 },
    );
  });

  it('knows what most clients write at once', () => {
    expect(
      ['2026-01-31T23:59:59Z', '2026-12-01T00:00:00.000Z', '0001-02-28T12:30:00.1Z'].filter(isPlainInstant),
    ).toHaveLength(3);
  });
});
