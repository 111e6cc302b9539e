import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { App } from '../src/app/app.ts';
import type { TestDatabase } from '../src/testing/database.ts';
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
  `what the stock Python client of MLflow does besides${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`,
  () => {
    let app: App;
    let database: TestDatabase;
    let close: OpenedApp['close'];
    let seen: Record<string, unknown>;
    beforeAll(async () => {
      ({ app, database, close } = await openApp());
      const script = join(import.meta.dirname, 'clients', 'mlflow_more.py');
      seen = (await runPython(python!, script, app.url, app.adminKey)) as typeof seen;
    }, 150_000);
    afterAll(() => close());

    it('sends large files in parts or as a whole, tables, texts and empty files', async () => {
      expect(seen).toMatchObject({
        large: [true, true],
        table: { question: ['a', 'b', 'c'], score: [1, 2, 3] },
        text: 'all is well',
        yaml: 'a:\n- 1\n- 2\n',
        files: [
          ['config.yaml', false, 11],
          ['data', true, null],
          ['empty', false, 0],
          ['notes', true, null],
          ['table.json', false, expect.any(Number)],
          ['whole', true, null],
        ],
      });
      // The client's own parts of 5 MiB, not the pieces of 4 MiB that a file in one request is kept in: it comes second and is the same content.
      const parts = await database.db.query<{ bytes: number }>(
        'select octet_length(bytes) as bytes from artifact_chunks order by number',
      );
      const mib = 1024 * 1024;
      expect(parts.map(({ bytes }) => bytes)).toEqual([5 * mib, 5 * mib, 2 * mib + 3]);
      expect(await database.db.query('select from training_uploads')).toEqual([]);
    });

    it('logs nested runs, and as much at once as it is made to', () => {
      expect(seen).toMatchObject({ nested: ['child'], batch: [350, 3500, 100] });
      expect(seen.over).toEqual({
        value: ['INVALID_PARAMETER_VALUE', expect.stringContaining('request.too_large')],
      });
    });

    it('searches by every operator that it documents', () => {
      expect(seen.operators).toEqual({
        'metrics.value = 2': ['two'],
        'metrics.value != 2': ['one', 'Three'],
        'metrics.value >= 2 and metrics.value < 3': ['two'],
        "params.kind LIKE 'T%'": ['Three'],
        "params.kind ILIKE 't%'": ['two', 'Three'],
        "params.kind IN ('one', 'two')": ['one', 'two'],
        "params.kind NOT IN ('one', 'two') AND metrics.value > 0": ['Three'],
        "tags.`mlflow.note.content` LIKE '%two'": ['two'],
        "attributes.run_name != 'one' and metrics.value <= 2": ['two'],
        'attributes.start_time > 0 and metrics.value = 1': ['one'],
        "attributes.`Run Name` = 'one' and attributes.Created > 0": ['one'],
        "attributes.artifact_uri LIKE 'mlflow-artifacts:/%' and metrics.value = 3": ['Three'],
      });
    });

    it('tags models, takes them away, and keeps prompts among them', () => {
      expect(seen).toMatchObject({
        tagged: ['Names'],
        retagged: { team: 'c' },
        untagged: {},
        gone: ['RESOURCE_DOES_NOT_EXIST', expect.any(String)],
        prompt: [1, 'Hello Ann', 'Good day {{name}}'],
        prompts: ['greeting'],
        models: ['Names'], // without the prompts, as its server tells them
      });
    });

    it('is told that traces are not kept, and trains on', () => {
      expect(seen.trace).toEqual(['ENDPOINT_NOT_FOUND', expect.stringContaining('mlflow.tracing.disable()')]);
      expect(seen.traced).toBe('RUNNING');
      expect(seen.decorated).toEqual(['FINISHED', { loss: 0.25 }, { after: 'yes' }, [2]]);
    });
  },
);
