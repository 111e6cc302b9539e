import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type InferenceUnderTest, openInferenceUnderTest } from '../src/api/inference-under-test.ts';
import { type TestAuthority, testAuthority } from '../src/connectors/tls-under-test.ts';
import { DATATYPES } from '../src/serving/tensors/tensor.ts';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';

const python = await pythonEnvironment(['tritonclient[grpc]==2.73.0']);
const script = join(import.meta.dirname, 'tritonclient', 'grpc_calls.py');

// Says in its name why it is skipped.
describe.skipIf(!python)(
  `the stock tritonclient over gRPC${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`,
  () => {
    let door: InferenceUnderTest;
    beforeAll(async () => {
      door = await openInferenceUnderTest();
    });
    afterAll(() => door.close());

    const authority = testAuthority();
    it.skipIf(!authority)('works against the door over TLS (needs openssl)', async () => {
      const { cert, key, caFile } = authority as TestAuthority;
      const tls = { certificates: Buffer.from(cert), key: Buffer.from(key) };
      const secured = await openInferenceUnderTest(undefined, tls);
      await secured.serving.unload('identity-int8');
      for (const flags of [[], ['--aio']]) {
        const told = await runPython(python!, script, secured.grpcHost, 'all', `--ca=${caFile}`, ...flags);
        expect((told as Told).batches).toEqual({ 1: true, 8: true, 5: true, 'one output': true });
      }
      await secured.close();
    });

    it.each([
      ['as it is', []],
      ['with asyncio', ['--aio']],
    ])('works against the door, %s', async (_, flags) => {
      await door.serving.unload('identity-int8');
      const told = (await runPython(python!, script, door.grpcHost, 'all', ...flags)) as Told;
      expect(told.identities).toEqual(Object.fromEntries(DATATYPES.map((datatype) => [datatype, true])));
      expect(told.batches).toEqual({ 1: true, 8: true, 5: true, 'one output': true });
      expect(told.classes).toEqual([
        ['4.000000:1', '3.000000:3'],
        ['9.000000:0', '9.000000:3'],
      ]);
      expect(told.describe).toMatchObject({
        live: true,
        ready: true,
        server: { name: 'aios' },
        model: {
          name: 'add-sub',
          versions: ['1'],
          inputs: [{ name: 'INPUT0', datatype: 'FP32', shape: ['-1', '4'] }, { name: 'INPUT1' }],
        },
        version: { name: 'add-sub' },
        config: {
          config: {
            name: 'add-sub',
            max_batch_size: 8,
            input: [{ name: 'INPUT0', data_type: 'TYPE_FP32', dims: ['4'] }, { name: 'INPUT1' }],
            instance_group: [{ count: 1, kind: 'KIND_CPU' }],
            dynamic_batching: { priority_levels: '5', default_priority_level: '3' },
            response_cache: {},
          },
        },
        statistics: {
          model_stats: [
            {
              name: 'add-sub',
              version: '1',
              inference_stats: { success: { count: expect.stringMatching(/^\d+$/) } },
            },
          ],
        },
      });
      expect(told.repository).toEqual([
        ['load_model', 'READY', true],
        ['unload_model', 'UNAVAILABLE', false],
        ['load_model', 'READY', true],
      ]);
      expect(told.stream).toEqual([
        ...Array.from({ length: 20 }, (_, i) => [`s${i}`, 2 * i]),
        ['error', expect.stringContaining('models.unknown_model')],
        ['last', 14],
      ]);
      expect(told.errors).toEqual({
        'unknown model': ['StatusCode.NOT_FOUND', expect.stringContaining('models.unknown_model')],
        'unknown version': ['StatusCode.NOT_FOUND', expect.stringContaining('models.unknown_version')],
        'missing input': ['StatusCode.INVALID_ARGUMENT', expect.stringContaining('serving.missing_input')],
        'wrong shape': ['StatusCode.INVALID_ARGUMENT', expect.stringContaining('[-1, 4]')],
        'wrong datatype': ['StatusCode.INVALID_ARGUMENT', expect.stringContaining('serving.tensor_type')],
        sequence: ['StatusCode.INVALID_ARGUMENT', expect.stringContaining('sequence_')],
        'unknown output': ['StatusCode.INVALID_ARGUMENT', expect.stringContaining('serving.unknown_output')],
        'no key': ['StatusCode.UNAUTHENTICATED', expect.stringContaining('access.unauthenticated')],
      });
    });
  },
);

interface Told {
  identities: Record<string, boolean>;
  batches: Record<string, boolean>;
  classes: string[][];
  describe: object;
  repository: unknown[];
  stream: unknown[];
  errors: Record<string, unknown>;
}
