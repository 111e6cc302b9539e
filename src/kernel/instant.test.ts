import { Ajv } from 'ajv';
import formatsPlugin from 'ajv-formats';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addFormats } from './formats.ts';
import { instantMs, isoMs, isPlainInstant } from './instant.ts';

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

describe('A time of ISO 8601', () => {
  it.each([
    ['2026-03-01', '2026-03-01T00:00:00.000Z'],
    ['2026-03-01T12:00', '2026-03-01T12:00:00.000Z'],
    ['2026-03-01 12:00:01,5', '2026-03-01T12:00:01.500Z'],
    ['2026-03-29T02:30:00+01:00', '2026-03-29T01:30:00.000Z'],
    ['2026-10-25t02:30:00 -0330', '2026-10-25T06:00:00.000Z'],
    ['2026-03-01T12:00:00.0001z', '2026-03-01T12:00:00.001Z'],
    ['2024-02-29T23:59:59.999999999+14', '2024-02-29T10:00:00.000Z'],
    ['0099-12-31', '0099-12-31T00:00:00.000Z'],
  ])('%s is %s, in whatever zone the machine is', (text, same) => {
    const zone = process.env.TZ;
    try {
      for (process.env.TZ of ['UTC', 'America/New_York', 'Asia/Kolkata'])
        expect(new Date(isoMs(text)!).toISOString()).toBe(same);
    } finally {
      if (zone === undefined) delete process.env.TZ;
      else process.env.TZ = zone;
    }
  });

  it('is what Date.parse says of the texts that Date writes', () => {
    fc.assert(
      fc.property(
        fc.date({ noInvalidDate: true, min: new Date('0000-01-01'), max: new Date('9999-12-31') }),
        (date) => {
          expect(isoMs(date.toISOString())).toBe(date.getTime());
        },
      ),
    );
  });

  it.each([
    ...[
      '',
      '1',
      'Row 5',
      '2026',
      '2026-1-1',
      'March 1, 2026',
      '2026-02-30',
      '2026-13-01',
      '2025-02-29T00:00Z',
    ],
    ...[
      '2026-01-01T24:00',
      '2026-01-01T00:60',
      '2016-12-31T23:59:60Z',
      '2026-01-01T00:00+24:00',
      '2026-01-01Z',
    ],
  ])('is not “%s”', (text) => {
    expect(isoMs(text)).toBeUndefined();
  });
});
