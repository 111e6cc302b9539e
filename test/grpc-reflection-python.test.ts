import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openInferenceUnderTest } from '../src/api/inference-under-test.ts';
import { pythonEnvironment, runPython } from '../src/testing/python.ts';

const python = await pythonEnvironment(['grpcio-reflection==1.81.1']);
const script = join(import.meta.dirname, 'clients', 'reflection_client.py');

// Says in its name why it is skipped.
describe.skipIf(!python)(
  `a client of gRPC that knows the services by reflection alone${python ? '' : ' (skipped: no python3 here, or no PyPI)'}`,
  () => {
    it('reads their messages and makes an inference', async () => {
      const door = await openInferenceUnderTest();
      try {
        expect(await runPython(python!, script, door.grpcHost, 'all')).toEqual({
          services: [
            'grpc.health.v1.Health',
            'grpc.reflection.v1.ServerReflection',
            'grpc.reflection.v1alpha.ServerReflection',
            'inference.GRPCInferenceService',
          ],
          outputs: ['SUM', 'DIFFERENCE'],
          id: 'one',
          unknown: 'not found',
        });
      } finally {
        await door.close();
      }
    });
  },
);
