import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type RecordedRun, recordedTest } from './recording.ts';

const RUN: RecordedRun = {
  id: 'run_1',
  workflow: 'pay',
  status: 'completed',
  startedAt: '2026-05-01T10:00:00.000Z',
  input: { customer: { email: 'ada@example.org', fullName: 'Ada Lovelace' }, amount: 7 },
  output: { sentTo: 'ada@example.org', note: 'call +49 170 1234567' },
  steps: [
    {
      key: 'look',
      id: 'look',
      primitive: 'features',
      status: 'completed',
      output: { seen: 3, apiKey: 'k-1234' },
    },
    {
      key: 'try/pay',
      id: 'try/pay',
      primitive: 'connector',
      status: 'failed',
      error: { type: 'https://example.com/errors/x', status: 503, title: 'away', instance: 'try/pay' },
    },
    {
      key: 'try^1/pay',
      id: 'try/pay',
      primitive: 'connector',
      status: 'completed',
      output: { to: 'ada@example.org' },
    },
    { key: 'tell', id: 'tell', status: 'completed', output: {} },
  ],
};

describe('a test made of a run', () => {
  it('has what the calls answered as mocks, attempts in order, and what came of it as what is expected', () => {
    const [test] = parse(recordedTest(RUN).text);
    expect(test).toMatchObject({
      name: 'as in run_1',
      workflow: 'pay',
      startsAt: '2026-05-01T10:00:00.000Z',
      mocks: {
        look: [{ output: { seen: 3 } }],
        'try/pay': [
          { error: { type: 'https://example.com/errors/x', status: 503, title: 'away' } },
          { output: {} },
        ],
      },
      steps: ['look', 'try/pay', 'try^1/pay', 'tell'],
    });
    expect(Object.keys(test.mocks)).toEqual(['look', 'try/pay']);
  });

  it('holds nothing that looks personal or secret, and the same in the place of the same', () => {
    const { text, replaced } = recordedTest(RUN);
    for (const told of ['ada@', 'Lovelace', 'k-1234', '1234567']) expect(text).not.toContain(told);
    const [test] = parse(text);
    expect(test.mocks['try/pay'][1].output.to).toBe(test.output.sentTo);
    expect(test.input.customer.email).toBe(test.output.sentTo);
    expect(test.input.amount).toBe(7);
    expect(replaced).toBe(4);
  });
});
