import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileExpression } from './expressions.ts';
import { compileLinear } from './linear-regex.ts';

describe('regular expressions in linear time', () => {
  const atom = fc.oneof(
    fc.constantFrom('a', 'b', 'c', '.', '\\d', '\\w', '[ab]', '[^a]', '\\b', '[a-c1]', '\\.', '-'),
  );
  const { pattern } = fc.letrec<{ pattern: string; piece: string }>((tie) => ({
    pattern: fc
      .array(fc.array(tie('piece'), { maxLength: 3 }), { minLength: 1, maxLength: 2 })
      .map((alternatives) => alternatives.map((pieces) => pieces.join('')).join('|')),
    piece: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      atom,
      fc
        .tuple(atom, fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{0,}', '*?'))
        .map((parts) => parts.join('')),
      fc
        .tuple(tie('pattern'), fc.constantFrom('', '*', '+', '?', '{0,2}'))
        .map(([inside, sign]) => `(?:${inside})${sign}`),
    ),
  }));
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '1', ' ', '.', '-'), maxLength: 8 });

  it('say what JavaScript says, for random patterns and texts', () => {
    fc.assert(
      fc.property(
        pattern,
        fc.boolean(),
        fc.boolean(),
        fc.array(text, { minLength: 1, maxLength: 5 }),
        (inside, begins, ends, texts) => {
          fc.pre(!/\\b[*+?{]/.test(inside)); // an error in JavaScript
          const whole = `${begins ? '^' : ''}(?:${inside})${ends ? '$' : ''}`;
          const wanted = new RegExp(whole, 'u');
          const test = compileLinear(whole);
          for (const each of texts)
            expect([whole, each, test(each)]).toEqual([whole, each, wanted.test(each)]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it.each([
    ['^[A-Z]{2}\\d+$', 'AB12', true],
    ['(?i)^straße$', 'STRAßE', true],
    ['(?P<year>\\d{4})-\\d\\d', 'in 2026-01', true],
    ['^\\p{L}+$', 'Größe', true],
    ['^\\pN+$', '12', true],
    ['^[[:alpha:]_]+$', 'a_b', true],
    ['(?m)^b$', 'a\nb\nc', true],
    ['^b$', 'a\nb\nc', false],
    ['a.b', 'a\nb', false],
    ['(?s)a.b', 'a\nb', true],
    ['^.$', '😀', true],
    ['\\x{1F600}', '😀', true],
    ['\\Aab\\z', 'ab', true],
    ['a{,2}', 'a{,2}', true],
    ['^[^@\\s]+@[^@\\s]+\\.[a-z]{2,}$', 'a@b.example', true],
    ['^([a-z0-9\\-]+\\.)+[a-z]{2,63}$', 'a-b.example.org', true],
    ['', '', true],
  ])('%s on %j: %s', (source, on, wanted) => expect(compileLinear(source)(on)).toBe(wanted));

  it.each([
    '(a)\\1',
    'a(?=b)',
    '(?<!a)b',
    '(a',
    'a)',
    '*a',
    '[a',
    'a{1001}',
    '((a{1000}){1000})',
    '\\',
    'a**',
    '[b-a]',
  ])('refuse %s', (source) => expect(() => compileLinear(source)).toThrow(/regular expression/));

  it.each([
    ['^(a+)+$', `${'a'.repeat(50_000)}!`],
    ['(?i)^(A+)+$', `${'a'.repeat(20_000)}!`],
    ['^(\\w+\\s?)*$', `${'a'.repeat(20_000)}!`],
    ['x*y', 'x'.repeat(50_000)],
    ['(a|a|b)*c', 'a'.repeat(20_000)],
    [`^${'a?'.repeat(40)}${'a'.repeat(40)}$`, 'a'.repeat(39)],
  ])('need no more time for what JavaScript never ends: %s', (source, on) => {
    expect(compileLinear(source)(on)).toBe(false);
  });

  it('are those of CEL, in every form', () => {
    const scope = { text: `${'a'.repeat(20_000)}!` };
    expect(compileExpression('text.matches("^(a+)+$")')(scope)).toBe(false);
    expect(compileExpression('"AB12".matches("^[A-Z]+[0-9]+$")')({})).toBe(true);
    expect(() => compileExpression('text.matches("a(?=b)")')(scope)).toThrow(/RE2/);
  });
});
