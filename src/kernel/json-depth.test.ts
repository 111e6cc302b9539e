import { describe, expect, it } from 'vitest';
import { readDocument } from './document.ts';
import type { Json } from './json.ts';
import { requireDepth } from './json-depth.ts';
import { LIMITS } from './limits.ts';

const nested = (depth: number, open = '{"a":', close = '}'): string =>
  `${open.repeat(depth)}1${close.repeat(depth)}`;

describe('how deep JSON may be', () => {
  it.each([
    ['objects', '{"a":', '}'],
    ['arrays', '[', ']'],
    ['both, beside other members', '[{"b":0,"a":', '}]'],
  ])('is counted in %s', (_name, open, close) => {
    const per = open.startsWith('[{') ? 2 : 1;
    expect(() => requireDepth(JSON.parse(nested(10, open, close)), 10 * per)).not.toThrow();
    expect(() => requireDepth(JSON.parse(nested(10, open, close)), 10 * per - 1)).toThrow(
      expect.objectContaining({ code: 'request.too_deep' }),
    );
  });

  it('is found out without going to the end', () => {
    const value = JSON.parse(nested(1_000_000, '[', ']')) as Json;
    expect(() => requireDepth(value, 200)).toThrow(expect.objectContaining({ code: 'request.too_deep' }));
  });

  it('holds for definitions, written as JSON or as YAML', () => {
    const depth = LIMITS.jsonDepthMax.value;
    const block = (levels: number) => `a:\n  ${'- '.repeat(levels)}1`;
    for (const text of [nested(depth), block(depth - 1)]) readDocument(text, 'x.yaml');
    for (const text of [nested(depth + 1), block(depth)])
      expect(() => readDocument(text, 'x.yaml')).toThrow(
        expect.objectContaining({
          code: 'request.too_deep',
          extensions: { limitName: 'jsonDepthMax', limit: depth },
        }),
      );
  });
});
