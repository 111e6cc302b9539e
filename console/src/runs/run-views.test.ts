import { describe, expect, it } from 'vitest';
import type { Run, Step } from '../api/shapes.ts';
import { barsOf } from './bars.ts';
import { placeGraph } from './chart-layout.ts';
import { failedStepId } from './failed-step.ts';
import { whyOf } from './why.ts';

const at = (ms: number) => new Date(Date.parse('2026-01-01T00:00:00Z') + ms).toISOString();
const step = (id: string, from: number, durationMs: number, more: Partial<Step> = {}): Step => ({
  key: id,
  id,
  name: id,
  kind: 'pure',
  status: 'completed',
  startedAt: at(from),
  durationMs,
  attempts: 1,
  ...more,
});
const graph: Run['graph'] = {
  nodes: [
    { id: 'start', label: 'asked', kind: 'start' },
    { id: 'score', label: 'score', kind: 'pure', primitive: 'infer' },
    { id: 'route', label: 'route', kind: 'switch' },
    { id: 'ask', label: 'ask', kind: 'wait', primitive: 'human-task' },
    { id: 'end', label: 'end', kind: 'end' },
  ],
  edges: [
    { from: 'start', to: 'score' },
    { from: 'score', to: 'route' },
    { from: 'route', to: 'ask', label: 'unclear' },
    { from: 'route', to: 'end', label: 'clear' },
    { from: 'ask', to: 'end' },
  ],
};

it('tells the time in line from the time of work', () => {
  const { bars } = barsOf(
    { startedAt: at(0), endedAt: at(40), steps: [step('a', 4, 6), step('b', 15, 20, { kind: 'effect' })] },
    Date.parse(at(50)),
  );
  expect(bars.map(({ queuedMs }) => queuedMs)).toEqual([4, 5]);
});

it('steps side by side wait for what was before both, not for each other', () => {
  const { bars } = barsOf(
    { startedAt: at(0), steps: [step('a', 0, 10), step('b', 12, 50), step('c', 13, 40)] },
    Date.parse(at(70)),
  );
  expect(bars.map(({ queuedMs }) => queuedMs)).toEqual([0, 2, 3]);
});

it('a step that waits goes on to now', () => {
  const waiting = step('ask', 10, 0, { kind: 'wait', status: 'waiting' });
  delete waiting.durationMs;
  const { totalMs } = barsOf({ startedAt: at(0), steps: [step('a', 0, 5), waiting] }, Date.parse(at(90_000)));
  expect(totalMs).toBe(90_000);
});

it('draws the way that was taken, and places every step once', () => {
  const run = {
    graph,
    status: 'completed' as const,
    steps: [step('score', 0, 1), step('route', 1, 0, { kind: 'flow', choice: 'clear' })],
  };
  const { nodes, edges } = placeGraph(run, 'LR');
  expect(new Set(nodes.map(({ x, y }) => `${x} ${y}`)).size).toBe(graph.nodes.length);
  const taken = edges.filter((edge) => edge.taken).map(({ from, to }) => `${from}-${to}`);
  expect(taken).toEqual(['start-score', 'score-route', 'route-end']);
  expect(nodes.find(({ id }) => id === 'ask')!.status).toBe('pending');
});

it('says why: the rule and its reason, the way taken, the fault', () => {
  const none = { pins: [], costs: [] };
  const decided = step('decide', 0, 1, {
    primitive: 'decide',
    output: {
      output: { outcome: 'refuse' },
      rule: 'too-late',
      reason: 'It is too late.',
      decision: 'policy',
      version: 2,
    },
  });
  const pins = [
    { kind: 'decision', name: 'policy', version: '2' },
    { kind: 'model', name: 'risk', version: '1' },
  ];
  expect(whyOf({ pins, costs: [] }, decided)).toMatchObject({
    sentence: 'Rule “too-late”: It is too late.',
    pins: [pins[0]],
  });
  expect(whyOf(none, step('route', 0, 0, { choice: 'clear' })).sentence).toContain('clear');
  expect(whyOf(none, step('call', 0, 0, { status: 'failed', error: { detail: 'refused' } })).sentence).toBe(
    'refused',
  );
});

describe('a step that failed without a record', () => {
  const graph: Run['graph'] = {
    nodes: [
      { id: 'start', label: 'start', kind: 'start' },
      { id: 'refund', label: 'refund', kind: 'raise' },
      { id: 'pay', label: 'pay', kind: 'try' },
      { id: 'pay/refund', label: 'refund', kind: 'raise', parent: 'pay' },
    ],
    edges: [{ from: 'start', to: 'pay' }],
  };
  const run = { status: 'failed' as const, graph, steps: [], error: { instance: '/do/1/pay/try/0/refund' } };

  it('is found by the pointer of the error, the innermost of its name', () => {
    expect(failedStepId(run)).toBe('pay/refund');
    expect(failedStepId({ ...run, error: { instance: '/do/0/refund' } })).toBe('refund');
    expect(failedStepId({ ...run, error: { instance: '/do/0/none' } })).toBeUndefined();
    expect(failedStepId({ ...run, status: 'completed' })).toBeUndefined();
  });

  it('is drawn failed, and the way to it taken', () => {
    const { nodes, edges } = placeGraph(run, 'LR');
    expect(nodes.map(({ id, status }) => [id, status])).toEqual([
      ['start', 'completed'],
      ['refund', 'pending'],
      ['pay', 'failed'],
      ['pay/refund', 'failed'],
    ]);
    expect(edges).toMatchObject([{ taken: true }]);
  });
});
