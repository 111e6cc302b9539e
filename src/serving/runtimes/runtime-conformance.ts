import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { elementOf, type Tensor } from '../tensors/tensor.ts';
import { ModelRefused, type Replica, RunFailed, type Runtime, type RuntimeModel } from './runtime.ts';

export interface RuntimeFixture {
  runtime: Runtime;
  /** `features` FP32 [-1, 2] → `probabilities` FP32 [-1, 1] = sigmoid(x₀ - 2 x₁ + 0.5). */
  logistic: RuntimeModel;
  /** A model that the runtime must refuse. */
  refused: RuntimeModel;
}

const matrix = (rows: number[][]): Tensor[] => [
  {
    name: 'features',
    datatype: 'FP32',
    shape: [rows.length, rows[0]!.length],
    data: Float32Array.from(rows.flat()),
  },
];
const sigmoid = ([a, b]: number[]) => 1 / (1 + Math.exp(-(a! - 2 * b! + 0.5)));

async function answersInTurn(replica: Replica): Promise<void> {
  const answers = await Promise.allSettled([
    replica.run([matrix([[1, 2]])]),
    replica.run([matrix([[1, 2, 3]])]),
    replica.run([matrix(Array.from({ length: 30_000 }, (_, i) => [i % 13, i % 7]))]),
    replica.run([matrix([[3, 1]])]),
  ]);
  expect(answers.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
  expect(answers[1]).toMatchObject({ reason: expect.any(RunFailed) });
  const rows = answers.map((answer) =>
    answer.status === 'fulfilled' ? answer.value.outputs[0]! : undefined,
  );
  expect(Number(elementOf(rows[0]!, 0))).toBeCloseTo(sigmoid([1, 2]), 5);
  expect(Number(elementOf(rows[2]!, 29_999))).toBeCloseTo(sigmoid([29_999 % 13, 29_999 % 7]), 5);
  expect(Number(elementOf(rows[3]!, 0))).toBeCloseTo(sigmoid([3, 1]), 5);
}

/** What every adapter of the `Runtime` port must do. */
export function runtimeConformance(name: string, fixture: () => RuntimeFixture): void {
  describe(`the runtime ${name}`, () => {
    let replica: Replica;
    beforeAll(async () => {
      replica = await fixture().runtime.start(fixture().logistic);
    });
    afterAll(() => replica.kill());

    it('tells the tensors of the model', () => {
      expect(replica.inputs).toEqual([{ name: 'features', datatype: 'FP32', shape: [-1, 2] }]);
      expect(replica.outputs).toEqual([{ name: 'probabilities', datatype: 'FP32', shape: [-1, 1] }]);
    });

    it('joins the requests of a batch along the first dimension, in their order', async () => {
      const rows = Array.from({ length: 40 }, (_, i) => [i / 10, 1 - i / 7]);
      const requests = [rows.slice(0, 1), rows.slice(1, 4), rows.slice(4)].map(matrix);
      const { outputs, computeUs } = await replica.run(requests);
      expect(outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape }))).toEqual([
        { name: 'probabilities', datatype: 'FP32', shape: [40, 1] },
      ]);
      for (const [i, row] of rows.entries())
        expect(Number(elementOf(outputs[0]!, i))).toBeCloseTo(sigmoid(row), 5);
      expect(computeUs).toBeGreaterThan(0);
    });

    it('moves batches larger than a socket buffer', async () => {
      const rows = Array.from({ length: 100_000 }, (_, i) => [i % 13, i % 7]);
      const { outputs } = await replica.run([matrix(rows)]);
      expect(outputs[0]!.data).toHaveLength(rows.length);
      expect(Number(elementOf(outputs[0]!, rows.length - 1))).toBeCloseTo(sigmoid(rows.at(-1)!), 5);
    });

    it('fails on values that the model refuses, and lives on', async () => {
      await expect(replica.run([matrix([[1, 2, 3]])])).rejects.toBeInstanceOf(RunFailed);
      expect((await replica.run([matrix([[1, 2]])])).outputs[0]!.shape).toEqual([1, 1]);
    });

    it('answers a run that was given during another in its turn, where it takes one ahead', async () => {
      if (replica.takesAhead) await answersInTurn(replica);
    });

    it('refuses what is not a model of its kind', async () => {
      await expect(fixture().runtime.start(fixture().refused)).rejects.toBeInstanceOf(ModelRefused);
    });

    it('ends when it is killed: what runs rejects as lost, and the end is told', async () => {
      const other = await fixture().runtime.start(fixture().logistic);
      const ended = new Promise((resolve) => other.onEnd(resolve));
      const running = other.run([matrix([[1, 2]])]).then(() => other.run([matrix([[1, 2]])]));
      const ahead = other.takesAhead ? other.run([matrix([[1, 2]])]).then(() => running) : running;
      other.kill();
      await ended;
      await expect(running).rejects.not.toBeInstanceOf(RunFailed);
      await expect(ahead).rejects.not.toBeInstanceOf(RunFailed);
      await expect(other.run([matrix([[1, 2]])])).rejects.toBeInstanceOf(Error);
    });
  });
}
