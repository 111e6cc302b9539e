import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AiosError } from '../kernel/errors.ts';
import { Troubles } from './troubles.ts';

const away = () =>
  new AiosError('store.unavailable', { detail: 'Postgres: connect ECONNREFUSED', cause: new Error('x') });

describe('what goes wrong again and again, in the log', () => {
  let lines: string[];
  let troubles: Troubles;
  beforeEach(() => {
    vi.useFakeTimers();
    lines = [];
    const keep = (level: string) => (message: string, error?: unknown) =>
      void lines.push(`${level} ${message}${error instanceof Error ? ' [stack]' : ''}`);
    troubles = new Troubles(
      { faultLogPauseMs: 10_000, troubleSilenceMs: 60_000 },
      { logger: { warn: keep('warn'), error: keep('error') }, now: Date.now },
    );
  });
  afterEach(() => void vi.useRealTimers());
  const pass = (ms: number) => vi.advanceTimersByTime(ms);

  it('is a line when it begins, and one when it is over, with how often and for how long', () => {
    const failed = troubles.of('Webhooks could not be looked at');
    for (let i = 0; i < 300; i++) {
      failed(new TypeError('no such thing'));
      pass(1_000);
    }
    expect(lines).toEqual(['warn Webhooks could not be looked at: no such thing [stack]']);
    pass(60_000);
    expect(lines.slice(1)).toEqual([
      'warn Webhooks could not be looked at: not again for 60 s. 300 tries failed in 299 s.',
    ]);
    failed(new TypeError('no such thing'));
    expect(lines).toHaveLength(3);
  });

  it('that came once is one line', () => {
    troubles.tell(
      { what: 'A run was let go', of: 'run_1' },
      new AiosError('store.conflict', { detail: 'late' }),
    );
    pass(600_000);
    expect(lines).toEqual(['warn A run was let go (run_1): late']);
  });

  it('tells another reason now and then, with how many came before', () => {
    const failed = troubles.of('A dataset waits', 'error');
    for (let i = 0; i < 30; i++) {
      failed(new AiosError('store.conflict', { detail: `try ${i}` }));
      pass(1_000);
    }
    expect(lines).toEqual([
      'error A dataset waits: try 0',
      'error A dataset waits: try 10 (and 9 more like it before)',
      'error A dataset waits: try 20 (and 9 more like it before)',
    ]);
  });

  it('because the database is away is one trouble, whatever fails by it, and over when that is back', () => {
    const loops = ['Tasks could not be escalated', 'A dataset waits'].map((what) => troubles.of(what));
    for (let i = 0; i < 100; i++) {
      for (const failed of loops) failed(away());
      pass(500);
    }
    troubles.databaseIsBack();
    pass(2_000);
    expect(lines).toEqual([
      'error The database does not answer: Postgres: connect ECONNREFUSED. What needs it waits, or is tried again.',
      'warn The database answers again. 200 tries failed in 50 s.',
    ]);
    pass(600_000);
    troubles.databaseIsBack();
    pass(2_000);
    expect(lines).toHaveLength(2);
  });

  it('is not over while something still fails by the database, and ends by silence where nobody says that it is back', () => {
    const failed = troubles.of('A dataset waits');
    failed(away());
    pass(500);
    troubles.databaseIsBack();
    pass(500);
    failed(away());
    pass(30_000);
    expect(lines).toHaveLength(1);
    pass(60_000);
    expect(lines[1]).toBe('warn The database does not answer: not again for 60 s. 2 tries failed in 1 s.');
  });

  it('is remembered in a bounded number', () => {
    for (let i = 0; i < 201; i++) troubles.of(`trouble ${i}`)(new Error('x'));
    expect(vi.getTimerCount()).toBe(200);
    troubles.of('trouble 0')(new Error('x'));
    expect(lines).toHaveLength(202);
  });
});
