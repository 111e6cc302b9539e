import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { instantMs } from './instant.ts';

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
