import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { logisticModel, onnxModel } from '../src/testing/onnx.ts';
import { faultsInAllLooks, violations } from './browser.ts';
import { describeConsole } from './console-under-test.ts';

const ONNX = join(
  import.meta.dirname,
  '..',
  'examples',
  'returns',
  'models',
  'return-risk',
  'return-risk.onnx',
);
const CREDIT = `
name: credit
file: credit.onnx
signature: { features: [a, b] }
promotion: { approvals: 1, of: [admin], fourEyes: false }
`;
/** A flow over `credit`, which is promoted by nobody here: it asks its first version. */
const BOTH = `
name: both
runtime: workflow
endpoint: { flow: both }
signature:
  inputs: [{ name: features, datatype: FP32, shape: [-1, 2] }]
  outputs: [{ name: probabilities, datatype: FP32, shape: [-1, 1] }]
`;
const BOTH_FLOW = `
document: { dsl: 1.0.0, namespace: test, name: both, version: 1.0.0 }
evaluate: { language: cel }
do:
  - score:
      call: infer:1@default
      with: { model: credit, ref: 1, inputs: { features: '\${ input.features }' } }
      output: { as: output.outputs }
`;

interface Rollouts {
  items: { id: string; status: string; reason?: string }[];
}

describeConsole('models in the console', ({ open, ask, send }) => {
  beforeAll(async () => {
    const { versions } = await ask<{ versions: { signature: object }[] }>('/api/v1/models/return-risk');
    await send('/api/v1/models/return-risk/versions', {
      onnxBase64: (await readFile(ONNX)).toString('base64'),
      signature: versions[0]!.signature,
      card: { task: 'the same again' },
    });
    await send('/api/v1/apply', {
      files: [
        { path: 'models/credit/model.yaml', text: CREDIT },
        { path: 'models/both/model.yaml', text: BOTH },
        { path: 'workflows/both.yaml', text: BOTH_FLOW },
        {
          path: 'models/credit/credit.onnx',
          base64: Buffer.from(logisticModel([0.2, 0.4], 0)).toString('base64'),
        },
      ],
    });
  });

  const rollouts = () => ask<Rollouts>('/api/v1/models/return-risk/rollouts');
  const endRollout = async () => {
    const running = (await rollouts()).items.find(({ status }) => status === 'running');
    await send(`/api/v1/models/return-risk/rollouts/${running!.id}/rollback`, {});
  };

  it('an ensemble shows the flow that it is, with what its steps call', async () => {
    const page = await open('/models/both');
    const flow = page.getByRole('region', { name: 'Flow', exact: true });
    await flow.getByRole('group', { name: 'score: infer' }).waitFor();
    expect(await page.getByText('Flow of v1: both, version 1').isVisible()).toBe(true);
    expect(await violations(page)).toEqual([]);
  });

  it('a version gets a share of the traffic from its row; the page shows both sides, and takes it back', async () => {
    const page = await open('/models/return-risk');
    await page.getByRole('row', { name: /^v2/ }).getByRole('button', { name: 'Promote …' }).click();
    await page.getByLabel('Share', { exact: true }).fill('30');
    await page.getByRole('button', { name: 'Start the canary' }).click();
    const panel = page.getByRole('region', { name: 'Canary of v2' });
    await panel.getByText('v2 answers 30 %').waitFor();
    await panel.getByRole('row', { name: /^Requests [1-9]/ }).waitFor(); // the simulation goes on
    expect((await rollouts()).items).toMatchObject([{ status: 'running' }]);
    await panel.getByRole('button', { name: 'Roll back' }).click();
    await page.getByLabel('Why').fill('seen enough');
    await page.getByRole('dialog').getByRole('button', { name: 'Roll back' }).click();
    await panel.waitFor({ state: 'hidden' });
    const earlier = page.getByRole('region', { name: 'Earlier rollouts' });
    await earlier.getByText('seen enough').waitFor();
    expect((await rollouts()).items).toMatchObject([{ status: 'rolled-back', reason: 'seen enough' }]);
  });

  it('a version is tried by a schedule, whose faults are told where they stand', async () => {
    const page = await open('/models/return-risk');
    await page.getByRole('row', { name: /^v2/ }).getByRole('button', { name: 'Promote …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Add a step' }).click();
    await dialog.getByLabel('Share of step 2').fill('5');
    await dialog.getByLabel('For', { exact: true }).fill('30');
    await dialog.getByRole('button', { name: 'Start the canary' }).click();
    await dialog.getByText('More than before').waitFor();
    expect(await violations(page)).toEqual([]);
    await dialog.getByLabel('Share of step 2').fill('40');
    await dialog.getByText('v2 answers 5 → 40 % of the keys').waitFor();
    await dialog.getByRole('button', { name: 'Start the canary' }).click();
    const panel = page.getByRole('region', { name: 'Canary of v2' });
    await panel.getByRole('list', { name: 'Steps' }).getByText('for 30 min').waitFor();
    await endRollout();
  });

  it('an A/B test asks for its outcome, and starts with it', async () => {
    const page = await open('/models/return-risk');
    await page.getByRole('row', { name: /^v2/ }).getByRole('button', { name: 'Promote …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('A/B test', { exact: true }).click();
    await dialog.getByRole('button', { name: 'Start the A/B test' }).click();
    await dialog.getByText('What comes of a key, as it is reported').waitFor();
    expect(await violations(page)).toEqual([]);
    await dialog.getByPlaceholder('e.g. accepted').fill('accepted');
    await dialog.getByLabel('Share', { exact: true }).fill('40');
    await dialog.getByRole('button', { name: 'Start the A/B test' }).click();
    const panel = page.getByRole('region', { name: 'A/B test of v2' });
    await panel.getByText('v2 answers 40 %').waitFor();
    expect((await rollouts()).items[0]).toMatchObject({
      status: 'running',
      plan: { kind: 'ab', outcome: { name: 'accepted', effect: 0.05, samplesMin: 100 } },
    });
    await endRollout();
  });

  it('a rollout that is refused says why and what to do', async () => {
    const page = await open('/models/return-risk');
    await page.getByRole('row', { name: /^v2/ }).getByRole('button', { name: 'Promote …' }).click();
    // Somebody else was faster.
    await send('/api/v1/models/return-risk/rollouts', { challenger: 2, kind: 'canary' });
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Copies', { exact: true }).click();
    await dialog.getByRole('button', { name: 'Start the shadow' }).click();
    await dialog.getByRole('alert').getByText('models.rollout_active').waitFor();
    await endRollout();
  });

  it('a promotion that waits is approved where it is shown', async () => {
    await send('/api/v1/models/credit/aliases/champion', { version: 1 }, 'PUT');
    const page = await open('/models/credit');
    const panel = page.getByRole('region', { name: 'v1 waits to become champion' });
    await panel.getByText('It has 0 of 1 approvals, from admin.').waitFor();
    await panel.getByRole('button', { name: 'Approve' }).click();
    await page.getByText('champion v1').waitFor();
    await panel.waitFor({ state: 'hidden' });
  });

  it('a version that takes other inputs is promoted only by who says so again', async () => {
    const onnxBase64 = Buffer.from(logisticModel([0.2, 0.4, 0.1], 0)).toString('base64');
    await send('/api/v1/models/credit/versions', { onnxBase64 });
    const page = await open('/models/credit');
    await page.getByRole('row', { name: /^v2/ }).getByRole('button', { name: 'Promote …' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Start the canary', exact: true }).click();
    await dialog.getByRole('alert').getByText('models.signature_changed').waitFor();
    await dialog.getByRole('button', { name: 'Start the canary all the same' }).waitFor();
    await dialog.getByText('All', { exact: true }).click();
    await dialog.getByRole('button', { name: 'Promote v2', exact: true }).click();
    await dialog.getByRole('alert').getByText('models.signature_changed').waitFor();
    await dialog.getByRole('alert').getByText('callers send another form').waitFor();
    expect(await violations(page)).toEqual([]);
    await dialog.getByRole('button', { name: 'Promote v2 all the same' }).click();
    const panel = page.getByRole('region', { name: 'v2 waits to become champion' });
    await panel.getByText(/Calls of “champion” do not fit it: .*callers send another form/).waitFor();
  });

  it('fallbacks that could not answer stand on the page, as long as they are so', async () => {
    const definition = (fallback: string) =>
      `name: chained\nfile: credit.onnx\nserving: { fallback: ${fallback} }\n`;
    const apply = async (fallback: string) =>
      send('/api/v1/apply', {
        files: [
          { path: 'models/chained/model.yaml', text: definition(fallback) },
          {
            path: 'models/chained/credit.onnx',
            base64: Buffer.from(logisticModel([1, 2], 0)).toString('base64'),
          },
        ],
      });
    await apply('[{ model: nobody }]');
    const page = await open('/models/chained');
    const panel = page.getByRole('region', { name: 'Fallbacks that could not answer' });
    await panel.getByText(/champion of chained .* falls back to what is not there: .*“nobody”/).waitFor();
    expect(await faultsInAllLooks(page)).toEqual([]);
    await apply('[]');
    await panel.waitFor({ state: 'hidden' });
  });

  it('a quantized version shows how it did beside its parent', async () => {
    const w = { shape: [2, 256], data: Float32Array.from({ length: 512 }, (_, i) => (i % 17) / 17) };
    const onnx = onnxModel({
      nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
      inputs: [{ name: 'x', datatype: 'FP32', shape: ['rows', 2] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: ['rows', 256] }],
      constants: { w },
    });
    await send('/api/v1/models/wide/versions', { onnxBase64: Buffer.from(onnx).toString('base64') });
    await send('/api/v1/models/wide/versions/1/quantize', { weightBytesMin: 0, agreementMin: 0 });
    const page = await open('/models/wide');
    const panel = page.getByRole('region', { name: 'Quantized from v1' });
    await panel.getByRole('row', { name: /^p50 of a row \d.* \d/ }).waitFor();
    await panel
      .getByText(/Agrees on .* of 512 rows of random numbers\. Whole numbers in 1 × MatMul/)
      .waitFor();
    expect(await violations(page)).toEqual([]);
  });

  it('a rollout is drawn, fits in every look, and axe finds nothing', async () => {
    const steps = [{ percent: 20, waitSeconds: 3600 }, { percent: 50 }];
    const plan = { challenger: 2, kind: 'canary', steps, comparison: { share: 1 } };
    await send('/api/v1/models/return-risk/rollouts', plan);
    const page = await open('/models/return-risk');
    const drawn = () => page.getByText('compared rows').waitFor();
    expect(await faultsInAllLooks(page, drawn)).toEqual([]);
  });
});
