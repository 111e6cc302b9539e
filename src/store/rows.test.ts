import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTimestamp } from './rows.ts';

describe('a timestamptz as Postgres writes it', () => {
  const slowly = (text: string) => Date.parse(text.replace(' ', 'T').replace(/([+-]\d\d)$/, '$1:00'));

  it.each([
    '2026-01-02 03:04:05+00',
    '2026-01-02 03:04:05.1+00',
    '2026-01-02 03:04:05.12+00',
    '2026-01-02 03:04:05.123+00',
    '2026-01-02 03:04:05.123456+00',
    '1969-12-31 23:59:59.999+00',
    '0099-01-01 00:00:00+00',
    '0999-12-31 23:59:59.5+00',
    '2026-01-01 05:30:00+05:30',
    '2026-06-01 12:00:00-07',
  ])('%s', (text) => expect(parseTimestamp(text)).toBe(slowly(text)));

  it('is the time that it says, whatever the fraction', () => {
    const time = fc.date({ min: new Date('1000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(
      fc.property(time, fc.integer({ min: 0, max: 999 }), (date, micros) => {
        const text = `${date.toISOString().replace('T', ' ').replace('Z', '')}${String(micros).padStart(3, '0')}`;
        expect(parseTimestamp(`${text.replace(/\.?0+$/, '')}+00`)).toBe(date.getTime());
      }),
    );
  });

  it('beyond what JavaScript knows is not a number', () => {
    expect(parseTimestamp('infinity')).toBeNaN();
    expect(parseTimestamp('0044-03-15 00:00:00+00 BC')).toBeNaN();
  });
});
