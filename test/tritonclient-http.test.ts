import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type InferenceUnderTest, openInferenceUnderTest } from '../src/api/inference-under-test.ts';
import { DATATYPES } from '../src/serving/tensors/tensor.ts';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';

const python = await pythonEnvironment(['tritonclient[http]==2.73.0']);
const script = join(import.meta.dirname, 'tritonclient', 'http_calls.py');

// Says in its name why it is skipped.
describe.skipIf(!python)(
  `the stock tritonclient over HTTP${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`,
  () => {
    let door: InferenceUnderTest;
    beforeAll(async () => {
      door = await openInferenceUnderTest();
    });
    afterAll(() => door.close());

    it.each([
      ['as it is', []],
      ['with asyncio', ['--aio']],
    ])('works against the door, %s', async (_, flags) => {
      await door.serving.unload('identity-int8');
      const told = (await runPython(python!, script, new URL(door.url).host, 'all', ...flags)) as Told;
      const { describe: described, identities, batches, classes, repository, errors, statistics } = told;
      expect(described).toMatchObject({
        live: true,
        ready: true,
        server: { name: 'aios', extensions: expect.arrayContaining(['binary_tensor_data', 'statistics']) },
        model: { name: 'add-sub', versions: ['1'] },
        version: { name: 'add-sub' },
        config: { name: 'add-sub', max_batch_size: 8 },
      });
      const forms = DATATYPES.flatMap((datatype) =>
        datatype === 'BF16' ? ['BF16 binary'] : [`${datatype} binary`, `${datatype} text`],
      );
      expect(identities).toEqual(Object.fromEntries(forms.map((form) => [form, true])));
      expect(batches).toEqual({ 1: true, 8: true, 1000: true });
      expect(classes).toEqual([
        ['4.000000:1', '3.000000:3'],
        ['9.000000:0', '9.000000:3'],
      ]);
      expect(repository).toEqual([
        ['load_model', 'READY', true],
        ['unload_model', 'UNAVAILABLE', false],
        ['load_model', 'READY', true],
      ]);
      expect(errors).toMatchObject({
        'unknown model': ['404', expect.stringContaining('none')],
        'unknown version': ['404', expect.stringContaining('“9”')],
        'missing input': ['400', expect.stringContaining('INPUT1')],
        'wrong shape': ['400', expect.stringContaining('[-1, 4]')],
        'wrong datatype': ['400', expect.stringContaining('FP32')],
        sequence: ['400', expect.stringContaining('sequence_id')],
        'unknown output': ['400', expect.stringContaining('NONE')],
      });
      expect(statistics).toEqual({
        rows: 3,
        executions: 1,
        successes: 1,
        infer_ns: true,
        batch_sizes: true,
        models: true,
      });
    });
  },
);

interface Told {
  describe: object;
  identities: Record<string, boolean>;
  batches: Record<string, boolean>;
  classes: unknown;
  repository: unknown[];
  errors: Record<string, unknown>;
  statistics: object;
}
