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
      startedAt: '2026-05-01T10:00:01.000Z',
      endedAt: '2026-05-01T10:00:01.500Z',
      output: { seen: 3, apiKey: 'k-1234' },
    },
    {
      key: 'try/pay',
      id: 'try/pay',
      primitive: 'connector',
      status: 'failed',
      startedAt: '2026-05-01T10:00:02.000Z',
      endedAt: '2026-05-01T10:00:02.500Z',
      error: { type: 'https://example.com/errors/x', status: 503, title: 'away', instance: 'try/pay' },
    },
    {
      key: 'try^1/pay',
      id: 'try/pay',
      primitive: 'connector',
      status: 'completed',
      startedAt: '2026-05-01T10:00:03.000Z',
      endedAt: '2026-05-01T10:00:03.500Z',
      output: { to: 'ada@example.org' },
    },
    {
      key: 'tell',
      id: 'tell',
      status: 'completed',
      startedAt: '2026-05-01T10:00:04.000Z',
      endedAt: '2026-05-01T10:00:04.500Z',
      output: {},
    },
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

  it('keeps the order in which parallel calls ended, and those that were given up; what it listened for, and when that came', () => {
    const at = (ms: number) => new Date(Date.parse(RUN.startedAt) + ms).toISOString();
    const call = (id: string, fromMs: number, toMs: number) => ({
      ...{ key: id, id, primitive: 'infer', status: 'completed', output: { id } },
      ...{ startedAt: at(fromMs), endedAt: at(toMs) },
    });
    const lost = { code: 'workflow.outcome_unknown', type: 't', status: 500, title: 'lost' };
    const run = {
      ...RUN,
      steps: [
        call('slow', 0, 900),
        call('quick', 1, 120),
        { ...call('loser', 2, 950), status: 'failed', error: lost },
      ],
      events: [
        { at: at(60_000), event: { id: 'e-1', source: 'urn:shop', type: 'order.paid', data: { n: 1 } } },
      ],
    };
    const [test] = parse(recordedTest(run).text);
    expect(test.mocks).toEqual({
      slow: [{ output: { id: 'slow' }, ended: 'PT0.9S' }],
      quick: [{ output: { id: 'quick' }, ended: 'PT0.12S' }],
      loser: [{ never: 'PT0S' }],
    });
    expect(test.events).toEqual([
      { id: 'e-1', source: 'urn:shop', type: 'order.paid', data: { n: 1 }, at: 'PT60S' },
    ]);
    expect(test.steps).toBeUndefined();
  });
});
