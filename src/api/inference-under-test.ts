import type { AddressInfo } from 'node:net';
import type { FastifyRequest } from 'fastify';
import { systemClock } from '../kernel/clock.ts';
import { AiosError } from '../kernel/errors.ts';
import { type Limits, limitsFrom } from '../kernel/limits.ts';
import type { AuditRecord } from '../ledger/audit.ts';
import { createFunctionRuntime, type FunctionModel } from '../serving/runtimes/function-runtime.ts';
import { DATATYPES, type Datatype, elementOf, type Tensor } from '../serving/tensors/tensor.ts';
import { createServing, type ServedModel, type Serving } from '../serving/traffic/serving.ts';
import type { Write } from '../store/lane.ts';
import { openGrpcDoor } from './grpc-door.ts';
import type { GrpcTls } from './grpc-settings.ts';
import type { AccessPort, Caller } from './routes.ts';
import { repositoryRoutes } from './routes-repository.ts';
import { servingRoutes } from './routes-serving.ts';
import { unservedRoutes } from './routes-unserved.ts';
import { createServer } from './server.ts';

/** The doors of inference over functions as models, without a store: `Authorization: Bearer <permission>,<permission>` is the key. */
export interface InferenceUnderTest {
  readonly url: string;
  /** `host:port` of gRPC. */
  readonly grpcHost: string;
  readonly serving: Serving;
  readonly audited: readonly AuditRecord[];
  readonly faults: readonly AiosError[];
  close(): Promise<void>;
}

const OPTIONS: ServedModel['serving'] = {
  replicas: 1,
  batchMax: 8,
  timeoutMs: 5_000,
  queueMax: 100,
  costPerInferenceMicroUsd: 0,
  costPerComputeSecondMicroUsd: 0,
};

/** `identity-fp32` and so on for every datatype: INPUT0 [-1, 2] comes back as OUTPUT0. */
const identity = (datatype: Datatype): FunctionModel => ({
  inputs: [{ name: 'INPUT0', datatype, shape: [-1, 2] }],
  outputs: [{ name: 'OUTPUT0', datatype, shape: [-1, 2] }],
  run: ([input]) => [{ ...input!, name: 'OUTPUT0' }],
});

/** `add-sub`: INPUT0 and INPUT1 [-1, 4], their sum and their difference. */
const addSub: FunctionModel = {
  inputs: ['INPUT0', 'INPUT1'].map((name) => ({ name, datatype: 'FP32', shape: [-1, 4] })),
  outputs: ['SUM', 'DIFFERENCE'].map((name) => ({ name, datatype: 'FP32', shape: [-1, 4] })),
  run: ([a, b]) => {
    const of = (name: string, sign: number): Tensor => {
      const at = (i: number) => Number(elementOf(a!, i)) + sign * Number(elementOf(b!, i));
      return { ...a!, name, data: Float32Array.from({ length: a!.data.length }, (_, i) => at(i)) };
    };
    return [of('SUM', 1), of('DIFFERENCE', -1)];
  },
};

/** `broken`: refuses whatever it gets past its warm-up. */
const broken: FunctionModel = {
  ...identity('FP32'),
  run: ([input]) => {
    if (Number(elementOf(input!, 0)) > 1) throw new Error('it is broken');
    return [{ ...input!, name: 'OUTPUT0' }];
  },
};

const MODELS: Readonly<Record<string, FunctionModel>> = {
  ...Object.fromEntries(
    DATATYPES.map((datatype) => [`identity-${datatype.toLowerCase()}`, identity(datatype)]),
  ),
  'add-sub': addSub,
  broken,
};

function registry() {
  const served = Object.entries(MODELS).map(
    ([name, { inputs, outputs }]): ServedModel => ({
      name,
      version: 1,
      digest: `sha256:${name}`,
      signature: { inputs, outputs },
      serving: OPTIONS,
      runtime: 'function',
    }),
  );
  const resolve = (name: string, reference: string | number = 'champion') => {
    const model = served.find((each) => each.name === name);
    if (!model) throw new AiosError('models.unknown_model', { detail: `There is no model “${name}”.` });
    if (String(reference) === '1' || reference === 'champion') return model;
    throw new AiosError('models.unknown_version', { detail: `${name} has no version “${reference}”.` });
  };
  const get = (name: string) => ({ name, versions: [{ version: resolve(name).version }] });
  return {
    resolve,
    get,
    list: () => served.map(({ name }) => get(name)),
    artifact: async () => new Uint8Array(),
  };
}

const access: AccessPort = {
  authenticate({ headers }) {
    const key = headers.authorization?.replace('Bearer ', '');
    if (key === undefined) return undefined;
    return {
      id: 'key_test',
      name: 'the test',
      kind: 'key',
      roles: key.split(','),
      groups: [],
    } satisfies Caller;
  },
  can: ({ roles }, permission) => roles.includes('all') || roles.includes(permission),
};

/** Opens the doors on a free port of 127.0.0.1. */
export async function openInferenceUnderTest(
  limitsText?: string,
  grpcTls?: GrpcTls,
): Promise<InferenceUnderTest> {
  const limits: Limits = limitsFrom(limitsText);
  const models = registry();
  const serving = createServing({ models, runtimes: { function: createFunctionRuntime(MODELS) }, limits });
  const audited: AuditRecord[] = [];
  const faults: AiosError[] = [];
  const dependencies = {
    models,
    serving,
    limits,
    clock: systemClock,
    version: 'test',
    commit: {
      async commit(writes: readonly Write[]) {
        for (const { item } of writes) audited.push(item as AuditRecord);
        return [];
      },
    },
    auditLog: { entry: (item: AuditRecord) => ({ item }) as Write },
  };
  const server = await createServer({
    limits,
    access,
    serving,
    onFault: (fault) => void faults.push(fault),
    routes: [servingRoutes(dependencies), repositoryRoutes(dependencies), unservedRoutes()],
  });
  await server.listen({ host: '127.0.0.1', port: 0 });
  const grpc = await openGrpcDoor({
    ...dependencies,
    tls: grpcTls,
    host: '127.0.0.1',
    port: 0,
    access: {
      authenticate: (authorization) => access.authenticate({ headers: { authorization } } as FastifyRequest),
      can: access.can,
    },
    isReady: async () => true,
    onFault: (fault) => void faults.push(fault),
  });
  return {
    grpcHost: `127.0.0.1:${grpc.port}`,
    url: `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`,
    serving,
    audited,
    faults,
    async close() {
      await Promise.all([server.close(), grpc.close()]);
      serving.close();
    },
  };
}
