import { expect, it } from 'vitest';
import { readMarkdown } from './markdown.ts';

it('reads headings, paragraphs, lists, tables and code', () => {
  const blocks = readMarkdown(
    '# Name\n\nTwo lines\nof one paragraph.\n- **A** is `b`\n  and goes on\n- C\n\n| x | y |\n| --- | --- |\n| 1 | 2 |\n\n```sh\nnpm start\n```\n',
  );
  expect(blocks.map(({ kind }) => kind)).toEqual(['heading', 'paragraph', 'list', 'table', 'code']);
  expect(blocks[1]).toEqual({
    kind: 'paragraph',
    spans: [{ kind: 'text', text: 'Two lines of one paragraph.' }],
  });
  expect(blocks[2]).toEqual({
    kind: 'list',
    items: [
      [
        { kind: 'strong', text: 'A' },
        { kind: 'text', text: ' is ' },
        { kind: 'code', text: 'b' },
        { kind: 'text', text: ' and goes on' },
      ],
      [{ kind: 'text', text: 'C' }],
    ],
  });
  expect(blocks[4]).toEqual({ kind: 'code', text: 'npm start' });
});

it('keeps the numbers of a numbered list', () => {
  expect(readMarkdown('3. c\n4. d')).toMatchObject([
    { kind: 'list', start: 3, items: [[{ text: 'c' }], [{ text: 'd' }]] },
  ]);
  expect(readMarkdown('- c')[0]).not.toHaveProperty('start');
});

it('leaves markup that it does not know as text', () => {
  expect(readMarkdown('<script>alert(1)</script> [a](javascript:b)')).toEqual([
    { kind: 'paragraph', spans: [{ kind: 'text', text: '<script>alert(1)</script> [a](javascript:b)' }] },
  ]);
});

it('ends on every text, a table or fence cut short too', () => {
  for (const text of ['', '```', '| a |', '| a |\n| - |', '-', '- ', '#', '**', '`'])
    expect(Array.isArray(readMarkdown(text))).toBe(true);
});
