import { expect, it } from 'vitest';
import { requireFinite } from './finite-json.ts';

const parseFiniteJson = (text: string) => {
  const value = JSON.parse(text) as unknown;
  requireFinite(text, value);
  return value;
};

const digits = (count: number) => '9'.repeat(count);

it.each([
  '1e309',
  '-1e309',
  '[{"a":[1E+400]}]',
  '1.5e0000309',
  `${digits(310)}`,
  `${digits(250)}e90`,
  `{"a":${digits(400)}.5}`,
])('refuses a number past the range: %s', (text) => {
  expect(() => parseFiniteJson(text)).toThrow(expect.objectContaining({ code: 'request.malformed' }));
});

it.each(['1e308', '-1.7976931348623157e308', '1e-400', `${digits(308)}`, '"1e999"', '{"1e999":"23e2334"}'])(
  'takes what has a value, and texts that look like such a number: %s',
  (text) => expect(parseFiniteJson(text)).toEqual(JSON.parse(text)),
);

it('looks into a value however deep it is', () => {
  const deep = `${'['.repeat(100_000)}1e999${']'.repeat(100_000)}`;
  expect(() => parseFiniteJson(deep)).toThrow(expect.objectContaining({ code: 'request.malformed' }));
});
