import { describe, expect, it } from 'vitest';
import { readDocument } from '../kernel/document.ts';
import type { AiosError } from '../kernel/errors.ts';
import { queueKind } from './queue-kind.ts';
import { outcomeOf } from './review-rules.ts';
import { QUEUES } from './reviews-under-test.ts';

describe('the rules of a queue', () => {
  const base = QUEUES.two;
  it.each([
    ['no outcome', base.replace('outcome: decision\n', ''), '/approvals', 'name the field'],
    [
      'an outcome that is no field',
      base.replace('outcome: decision', 'outcome: verdict'),
      '/outcome',
      'no field',
    ],
    ['too many needed', base.replace('needed: 2', 'needed: 4'), '/approvals/needed', 'cannot give'],
    [
      'an answer unknown',
      base.replace('approve: [approve]', 'approve: [yes]'),
      '/approvals/approve/0',
      'does not know',
    ],
    [
      'nothing refuses',
      base.replace('approve: [approve]', 'approve: [approve, refuse]'),
      '/approvals/approve',
      'nobody could refuse',
    ],
    [
      'an approving deadline',
      base.replace('onDeadline: { decision: refuse }', 'onDeadline: { decision: approve }'),
      '/onDeadline',
      'a refusal',
    ],
    [
      'four eyes of three',
      base.replace('approve: [approve]', 'approve: [approve], fourEyes: true'),
      '/approvals/fourEyes',
      'two of two',
    ],
    ['approvals by confidence', `${base}confidence: [ { outcome: review } ]\n`, '/confidence', 'not both'],
    ['bands upside down', QUEUES.bands.replace('0.95', '0.6'), '/confidence/1/atLeast', 'highest first'],
    [
      'an open end',
      QUEUES.bands.replace('outcome: double', 'atLeast: 0.1, outcome: double'),
      '/confidence/2',
      'takes all that is left',
    ],
    [
      'an automatic end',
      QUEUES.bands.replace('outcome: double', 'outcome: auto'),
      '/confidence/2/outcome',
      'ask a person',
    ],
    [
      'a band for all in between',
      QUEUES.bands.replace('atLeast: 0.7, ', ''),
      '/confidence/1',
      'only the last',
    ],
    [
      'a sample of what people answer',
      QUEUES.bands.replace('0.7, outcome: review', '0.7, outcome: review, sample: 0.1'),
      '/confidence/1/sample',
      'anyway',
    ],
    [
      'a sample of nothing',
      `${base}sampling: { share: 0.1 }\n`,
      '/sampling',
      'nothing is answered automatically',
    ],
  ])('that are wrong are refused with their place: %s', (_, text, path, message) => {
    try {
      queueKind.parse(readDocument(text, 'queues/a.yaml'), new Map());
      expect.unreachable();
    } catch (error) {
      expect((error as AiosError).issues).toContainEqual(
        expect.objectContaining({
          path,
          line: expect.any(Number),
          message: expect.stringContaining(message),
        }),
      );
    }
  });
});

describe('the outcome of an answer', () => {
  const told = (decision?: unknown) => outcomeOf({ decision } as never, { outcome: 'decision' });

  it('is the text itself, and never the same for two values', () => {
    expect(told('approve')).toBe('approve');
    const values = [1, '1', true, 'true', null, 'null', '"1"', [1], '[1]', '', { a: 1 }, '{"a":1}'];
    expect(new Set(values.map(told)).size).toBe(values.length);
  });
});
