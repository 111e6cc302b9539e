import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { limitsFrom } from '../../kernel/limits.ts';
import { readOutputs } from './outputs.ts';

describe('what a training wrote', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aios-outputs-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const limits = limitsFrom('trainingLogBytesMax=40000000');

  it('may be 200,000 lines of metrics, with those of its end after them', async () => {
    const lines = Array.from({ length: 200_000 }, (_, i) => `{"key":"loss","value":0.1,"step":${i % 1000}}`);
    await writeFile(join(folder, 'metrics.jsonl'), lines.join('\n'));
    await writeFile(join(folder, 'model.json'), '{"metrics":{"auc":0.9}}');
    const { metrics } = await readOutputs(folder, limits, 7);
    expect(metrics).toHaveLength(200_001);
    expect(metrics.at(-1)).toEqual({ key: 'auc', value: 0.9, atMs: 7, step: 1000 });
  });

  it('may be losses that are no number, as Python and MLflow write them', async () => {
    const values = ['NaN', '-Infinity', 'Infinity', '"NaN"', '0.5'];
    await writeFile(
      join(folder, 'metrics.jsonl'),
      values.map((value) => `{"key":"a NaN \\"loss\\"","value":${value}}`).join('\n'),
    );
    const { metrics } = await readOutputs(folder, limits, 0);
    expect(metrics.map(({ value }) => value)).toEqual([Number.NaN, -Infinity, Infinity, Number.NaN, 0.5]);
    expect(metrics[0]!.key).toBe('a NaN "loss"');
    await writeFile(join(folder, 'metrics.jsonl'), '{"key":"loss","value":"none"}');
    await expect(readOutputs(folder, limits, 0)).rejects.toMatchObject({ code: 'training.output_invalid' });
  });

  it('may be such metrics in model.json, which is null elsewhere; a text is refused by its place', async () => {
    const path = join(folder, 'model.json');
    await writeFile(path, '{"metrics":{"auc":NaN,"loss":-Infinity,"rows":3},"card":{"a NaN":[NaN,"NaN"]}}');
    const { metrics, card } = await readOutputs(folder, limits, 0);
    expect(metrics.map(({ key, value }) => [key, value])).toEqual([
      ['auc', Number.NaN],
      ['loss', -Infinity],
      ['rows', 3],
    ]);
    expect(card).toEqual({ 'a NaN': [null, 'NaN'] });
    for (const wrong of ['"high"', 'null', '[1]']) {
      await writeFile(path, `{"metrics":{"auc":${wrong}}}`);
      await expect(readOutputs(folder, limits, 0)).rejects.toMatchObject({
        code: 'training.output_invalid',
        message: 'model.json/metrics/auc: a number was expected.',
      });
    }
  });

  it.each(['"abc"', '1.5', '"3"', '1e300'])('has whole steps: %s is refused', async (step) => {
    const lines = `{"key":"loss","value":1}\n{"key":"loss","value":1,"step":${step}}\n`;
    await writeFile(join(folder, 'metrics.jsonl'), lines);
    await expect(readOutputs(folder, limits, 0)).rejects.toMatchObject({
      code: 'training.output_invalid',
      message: expect.stringContaining('metrics.jsonl, line 2: step'),
    });
  });
});
