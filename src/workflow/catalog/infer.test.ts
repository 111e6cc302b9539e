import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../kernel/json.ts';
import { type Write, write } from '../../store/lane.ts';
import { type InferPort, inferPrimitive } from './infer.ts';
import type { StepContext } from './primitive.ts';

type Scored = Awaited<ReturnType<InferPort['score']>>;

async function infer(answered: Partial<Scored>, more: JsonObject = {}) {
  const asked: object[] = [];
  const costs: object[] = [];
  const lane = { name: 'cost', order: 1, write: async () => undefined };
  const answer = async (call: object): Promise<Scored> => {
    asked.push(call);
    return {
      outputs: { score: 0.5 },
      model: 'risk',
      version: 3,
      digest: 'd',
      computeUs: 10,
      costMicroUsd: 4,
      ...answered,
    };
  };
  const primitive = inferPrimitive({ score: answer, infer: answer }, (entry): Write => {
    costs.push(entry);
    return write(lane, entry);
  });
  const context = { runId: 'run_1', stepKey: 'score', nowMs: 5 } as StepContext;
  const given = more.inputs ? more : { features: { a: 1 }, ...more };
  const { output, pins } = await primitive.run({ model: 'risk', ...given } as JsonObject, context);
  return { asked, costs, output, pins };
}

describe('the primitive infer', () => {
  it('names the step that asks, and keeps which version answered', async () => {
    const { asked, costs, output, pins } = await infer({});
    expect(asked).toEqual([
      { model: 'risk', features: { a: 1 }, step: { runId: 'run_1', stepKey: 'score' } },
    ]);
    expect(output).toEqual({ outputs: { score: 0.5 }, model: 'risk', version: 3 });
    expect(pins).toEqual([{ kind: 'model', name: 'risk', version: '3', digest: 'd' }]);
    expect(costs).toMatchObject([{ resource: 'risk@3', amountMicroUsd: 4 }]);
  });

  it('asks about tensors of any rows', async () => {
    const { asked } = await infer({}, { inputs: { x: [[1], [2]] } });
    expect(asked).toEqual([
      { model: 'risk', inputs: { x: [[1], [2]] }, step: { runId: 'run_1', stepKey: 'score' } },
    ]);
  });

  it('hands on the key that a rollout divides its traffic by', async () => {
    expect((await infer({}, { sticky: 'customer-7' })).asked).toMatchObject([{ stickyKey: 'customer-7' }]);
  });

  it('shows in the run that a fallback answered, and charges the model that did', async () => {
    const degraded = { model: 'risk', version: 3, reason: 'serving.timeout', by: 'model' } as const;
    const { costs, output, pins } = await infer({ model: 'rules', version: 1, degraded });
    expect(output).toEqual({ outputs: { score: 0.5 }, model: 'rules', version: 1, degraded });
    expect(pins).toMatchObject([{ name: 'rules', version: '1' }]);
    expect(costs).toMatchObject([{ resource: 'rules@1' }]);
  });
});
