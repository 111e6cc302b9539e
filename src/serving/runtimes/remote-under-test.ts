import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server, ServerCredentials, type sendUnaryData } from '@grpc/grpc-js';
import { Agent } from 'undici';
import { openGrpcDoor } from '../../api/grpc-door.ts';
import { servingRoutes } from '../../api/routes-serving.ts';
import { createServer } from '../../api/server.ts';
import { systemClock } from '../../kernel/clock.ts';
import { AiosError } from '../../kernel/errors.ts';
import { limitsFrom } from '../../kernel/limits.ts';
import { SERVING_DEFAULTS } from '../../models/model-kind.ts';
import type { ModelInferRequest } from '../protocol/grpc-messages.ts';
import { loadGrpcServices } from '../protocol/grpc-services.ts';
import { tensorsFromGrpc, tensorToGrpc } from '../protocol/grpc-tensors.ts';
import { elementOf, type Tensor } from '../tensors/tensor.ts';
import { createServing } from '../traffic/serving.ts';
import { createFunctionRuntime, type FunctionModel } from './function-runtime.ts';
import type { RemoteAccess } from './remote.ts';

const caller = { id: 'k', name: 'k', kind: 'key' as const, roles: ['admin'], groups: [] };
const KEY = 'Bearer the-key';

/** As in the conformance suite: sigmoid(x₀ - 2 x₁ + 0.5). */
export function logistic([features]: readonly Tensor[]): Tensor[] {
  const [rows, width] = features!.shape as [number, number];
  if (width !== 2) throw new Error(`${width} columns where 2 are needed`);
  const at = (i: number) => Number(elementOf(features!, i));
  const data = Float32Array.from(
    { length: rows },
    (_, i) => 1 / (1 + Math.exp(-(at(2 * i) - 2 * at(2 * i + 1) + 0.5))),
  );
  return [{ name: 'probabilities', datatype: 'FP32', shape: [rows, 1], data }];
}
export const LOGISTIC: FunctionModel = {
  inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 1] }],
  run: logistic,
};

/** How tests reach servers of this machine; `${secrets.KEY}` is a key that the door takes. */
export const access: RemoteAccess = {
  dispatcher: new Agent(),
  addresses: async () => [{ address: '127.0.0.1', family: 4 }],
  roots: () => null,
  fill: (text) => text.replace(`\${secrets.KEY}`, KEY),
};

/** Our own doors, HTTP and gRPC, over models that are functions. */
export async function serveModels(functions: Readonly<Record<string, FunctionModel>>) {
  const limits = limitsFrom();
  const resolve = (name: string) => {
    const model = functions[name];
    if (!model) throw new AiosError('models.unknown_model', { detail: name });
    const { inputs, outputs } = model;
    const serving = { ...SERVING_DEFAULTS, batchMax: 1_000_000 };
    return { name, version: 1, digest: 'd', signature: { inputs, outputs }, serving, runtime: 'function' };
  };
  const resolved = new Map<string, ReturnType<typeof resolve>>();
  const models = {
    resolve(name: string) {
      const known = resolved.get(name) ?? resolve(name);
      resolved.set(name, known);
      return known;
    },
    get: (name: string) => ({ name, versions: [{ version: 1 }] as never[], aliases: {} }),
    list: () => [],
    artifact: async () => new Uint8Array(),
  };
  const serving = createServing({ models, runtimes: { function: createFunctionRuntime(functions) }, limits });
  const authenticate = (authorization: string | undefined) => {
    if (authorization === KEY) return caller;
    throw new AiosError('access.unauthenticated');
  };
  const shared = {
    serving,
    models,
    version: '1',
    limits,
    clock: systemClock,
    commit: { commit: async () => [] },
    auditLog: { entry: (item: unknown) => ({ item }) as never },
  };
  const http = await createServer({
    limits,
    access: {
      authenticate: ({ url, headers }) => (url === '/v2' ? undefined : authenticate(headers.authorization)),
      can: () => true,
    },
    routes: [servingRoutes(shared)],
    onFault: () => {},
  });
  const url = await http.listen({ host: '127.0.0.1', port: 0 });
  const grpc = await openGrpcDoor({
    ...shared,
    host: '127.0.0.1',
    port: 0,
    access: { authenticate, can: () => true },
    isReady: async () => true,
    onFault: () => {},
  });
  return {
    http: url,
    grpc: `http://127.0.0.1:${grpc.port}`,
    async close() {
      await Promise.all([http.close(), grpc.close()]);
      serving.close();
    },
  };
}

/** A gRPC server over TLS with the model `logistic`, in raw grpc-js. */
export async function serveOverTls({ key, cert }: { readonly key: string; readonly cert: string }) {
  const { inference } = await loadGrpcServices();
  const server = new Server();
  const { inputs, outputs } = LOGISTIC;
  server.addService(inference as never, {
    ModelMetadata: (_: unknown, done: sendUnaryData<object>) =>
      done(null, { name: 'logistic', inputs, outputs }),
    ModelInfer: ({ request }: { request: ModelInferRequest }, done: sendUnaryData<object>) => {
      const [output] = logistic(tensorsFromGrpc('Input', request.inputs, request.raw_input_contents));
      const { tensor, raw } = tensorToGrpc(output!);
      done(null, { outputs: [tensor], raw_output_contents: [raw] });
    },
  });
  const pair = { private_key: Buffer.from(key), cert_chain: Buffer.from(cert) };
  const port = await new Promise<number>((done, fail) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, [pair]), (error, bound) =>
      error ? fail(error) : done(bound),
    ),
  );
  return { url: `https://127.0.0.1:${port}`, close: () => server.forceShutdown() };
}

/** A server of JSON: the handler answers with a status and a body. */
export async function serveJson(
  handle: (body: string) => { status?: number; body: string; headers?: Record<string, string> } | undefined,
) {
  const server = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const answer = handle(Buffer.concat(chunks).toString());
      if (!answer) return; // never answers
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers });
      response.end(answer.body);
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      return new Promise((done) => server.close(done));
    },
  };
}
