import { expect, it } from 'vitest';
import { type LogPiece, type TrainingLog, withPieces } from './training-log.ts';

const piece = (seq: number, text: string): LogPiece => ({
  ...{ seq, text, stepKey: 'train', trainingRun: 'a', stream: 'stdout', at: '2026-01-01T00:00:00Z' },
});
const EMPTY: TrainingLog = { pieces: [], leftOut: 0, cursor: '0' };

it('keeps the end of a log within its characters and counts what went', () => {
  const first = withPieces(EMPTY, [piece(1, 'abcd'), piece(2, 'efgh')], '2', 6);
  expect(first).toEqual({ pieces: [piece(1, 'cd'), piece(2, 'efgh')], leftOut: 2, cursor: '2' });
  const second = withPieces(first, [piece(3, 'ijkl')], '3', 6);
  expect(second).toEqual({ pieces: [piece(2, 'gh'), piece(3, 'ijkl')], leftOut: 6, cursor: '3' });
  expect(withPieces(EMPTY, [piece(1, '0123456789')], '1', 4).pieces).toEqual([piece(1, '6789')]);
});
