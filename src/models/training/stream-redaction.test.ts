import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StreamRedaction } from './stream-redaction.ts';

function redacted(secrets: readonly string[], pieces: readonly string[]): string {
  const redaction = new StreamRedaction(secrets);
  return pieces.map((piece) => redaction.add(piece)).join('') + redaction.end();
}

describe('secrets in a stream', () => {
  it.each([
    [['abcdef'], ['is abc', 'def, and on'], 'is ***, and on'],
    [['abcdef'], ['a', 'b', 'c', 'd', 'e', 'f'], '***'],
    [['abcdef'], ['abc', 'abcdef'], 'abc***'],
    [['abcdef'], ['it ends with abc'], 'it ends with abc'],
    [['abc', 'abcdef'], ['abc', 'def abc', '.'], '*** ***.'],
    [['a.c$('], ['abc$( a.', 'c$('], 'abc$( ***'],
    [['two\nlines'], ['two\n', 'lines'], '***'],
    [['', 'x1'], ['x', 'x', '1'], 'x***'],
    [[], ['nothing', ' to hide'], 'nothing to hide'],
  ])('takes %j out of %j', (secrets, pieces, told) => {
    expect(redacted(secrets, pieces)).toBe(told);
  });

  it('tells the same wherever the pieces are cut', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 40 });
    const secrets = fc.array(
      fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 6 }),
      {
        maxLength: 3,
      },
    );
    fc.assert(
      fc.property(secrets, fc.array(text, { maxLength: 8 }), (hidden, pieces) => {
        expect(redacted(hidden, pieces)).toBe(redacted(hidden, [pieces.join('')]));
      }),
    );
  });

  it('holds nothing back that no secret begins with', () => {
    expect(new StreamRedaction(['abcdef']).add('epoch 3 of 10')).toBe('epoch 3 of 10');
  });
});
