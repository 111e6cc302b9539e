import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { App } from '../src/app/app.ts';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';
import { type OpenedApp, openApp } from './app-under-test.ts';

const python = await pythonEnvironment([
  'mlflow-skinny==3.17.2',
  'onnx==1.23.2',
  'numpy==2.4.6',
  'onnxruntime==1.31.1',
  'pandas==3.1.1',
]);

describe.skipIf(!python)(
  `the stock Python client of MLflow${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`,
  () => {
    let app: App;
    let close: OpenedApp['close'];
    let seen: Record<string, unknown>;
    beforeAll(async () => {
      ({ app, close } = await openApp());
      const script = join(import.meta.dirname, 'clients', 'mlflow_client.py');
      seen = (await runPython(python!, script, app.url, app.adminKey)) as typeof seen;
    }, 150_000);
    afterAll(() => close());

    it('logs parameters, metrics, tags, files and datasets of a run', () => {
      expect(seen).toMatchObject({
        params: { depth: '6', rate: '0.1', kind: 'tree' },
        metrics: { auc: '0.9', loss: 'nan', worst: 'inf' },
        nan: true,
        tags: { team: 'returns', note: "a note, with 'quotes'", 'mlflow.runName': 'first' },
        status: 'FINISHED',
        history: [0, 1, 2, 3, 4].map((step) => [step, Math.round((0.7 + step / 20) * 1000) / 1000]),
        artifacts: [
          ['config.json', false],
          ['reports', true],
        ],
        reports: [['reports/report.txt', 11]],
        report: 'all is well',
        inputs: ['returns'],
        logged: ['plain', 'risk'],
      });
    });

    it('searches by metrics, parameters, tags, attributes and datasets, in order and in pages', () => {
      expect(seen.search).toEqual({
        metric: ['second', 'first'],
        param: ['first'],
        tag: ['first'],
        in: ['second', 'third'],
        ilike: ['second'],
        quoted: ['first'],
        dataset: ['second'],
        unset: ['second', 'third'],
        order: ['third', 'first', 'second'],
        invalid: 'INVALID_PARAMETER_VALUE',
      });
      expect(seen.pages).toEqual([2, 1, null]);
      expect(seen.experiments).toEqual(['Return risk']);
    });

    it('registers versions, with ONNX to be served and without it to be kept, and moves aliases', () => {
      expect(seen).toMatchObject({
        registered: ['1', 'Return Risk'],
        version: ['READY', true, null],
        kept: ['2', 'Kept, not served: among its files is none in the form that is served here (ONNX).'],
        alias: '1',
        over: 'RESOURCE_CONFLICT',
        aliases: { champion: '1', candidate: '2' },
        afterwards: { champion: '1' },
        described: ['Whether an order comes back', { owner: 'returns' }, { checked: 'yes' }],
        versions: ['1', '2'],
        models: ['Return Risk'],
        stage: 'RESOURCE_CONFLICT',
        latest: [['2'], ['2'], []], // nothing is in production because it is the newest
        in_stage: 'INTERNAL_ERROR', // the client's own word for “no versions of that stage”
        deleted: 'RESOURCE_CONFLICT',
        loaded: [2, 4],
        again: ['score'],
      });
    });

    it('serves what the script registered, and the audit log tells who did', async () => {
      const ask = async (method: string, path: string, body?: unknown) => {
        const response = await fetch(`${app.url}${path}`, {
          method,
          headers: { authorization: `Bearer ${app.adminKey}`, 'content-type': 'application/json' },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        });
        return (await response.json()) as Record<string, never>;
      };
      const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }];
      const scored = await ask('POST', '/v2/models/return-risk/infer', { inputs });
      expect(scored).toMatchObject({ model_version: '1', outputs: [{ name: 'score', data: [8] }] });
      expect(await ask('GET', '/api/v1/models/return-risk')).toMatchObject({
        aliases: { champion: 1 },
        versions: [
          { version: 2, runtime: 'files', status: 'files' },
          { version: 1, status: 'ready', card: { parameters: { depth: '6' }, metrics: { auc: 0.7 } } }, // of the step that it was logged at
        ],
      });
      const refused = await ask('POST', '/v2/models/return-risk/versions/2/infer', { inputs });
      expect(refused).toMatchObject({ code: 'models.not_servable' });
      const index = (await ask('POST', '/v2/repository/index', {})) as unknown as { version: string }[];
      expect(index.map(({ version }) => version).sort()).toEqual(['1', '2']);
      await app.verifyAudit();
      const { items } = await ask('GET', '/api/v1/audit/entries?object=model:return-risk');
      const actions = (items as unknown as { action: string }[]).map(({ action }) => action).sort();
      expect(actions).toEqual(['alias-removed', 'promoted', 'promoted', 'registered', 'registered']);
    });

    it('is told of faults by the names of its own errors', () => {
      expect(seen.errors).toEqual({
        run: 'RESOURCE_DOES_NOT_EXIST',
        exists: 'RESOURCE_ALREADY_EXISTS',
        param: 'INVALID_PARAMETER_VALUE',
        model: 'RESOURCE_DOES_NOT_EXIST',
        version: 'RESOURCE_DOES_NOT_EXIST',
        aliases: ['INVALID_PARAMETER_VALUE', 'INVALID_PARAMETER_VALUE'],
      });
    });

    it('puts runs and experiments away and takes them back', () => {
      expect(seen).toMatchObject({
        left: ['second', 'first'],
        restored: 3,
        failed: 'FAILED',
        untagged: false,
        another: ['deleted', 'Renamed'],
      });
    });
  },
);
