// The gRPC load generator of the serving bench, a process of its own: so many calls of ModelInfer under way at once over a few connections, their
// requests encoded beforehand and their answers left as bytes, because it shares the machine's cores with the server.
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { loadGrpcServices } from '../src/serving/protocol/grpc-services.ts';
import { quantile } from './load.ts';
import type { LoadCommand, LoadReport } from './serving-load.ts';
import { MODELS, rowOf } from './serving-models.ts';

const CONNECTIONS = 4;
const same = (bytes: Buffer): Buffer => bytes;

async function requestsOf({ model, served, bodies }: LoadCommand): Promise<Buffer[]> {
  const { requestSerialize } = (await loadGrpcServices()).inference.ModelInfer!;
  return Array.from({ length: bodies }, (_, row) => {
    const bytes = Buffer.from(Float32Array.from(rowOf(model, row)).buffer);
    const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, MODELS[model].features] }];
    return requestSerialize({ model_name: served, inputs, raw_input_contents: [bytes] });
  });
}

async function run(command: LoadCommand, requests: readonly Buffer[]): Promise<LoadReport> {
  const { path } = (await loadGrpcServices()).inference.ModelInfer!;
  const clients = Array.from(
    { length: Math.min(CONNECTIONS, command.clients) },
    () =>
      new Client(`127.0.0.1:${command.port}`, credentials.createInsecure(), {
        'grpc.use_local_subchannel_pool': 1,
      }),
  );
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(command.headers)) metadata.set(name, value);
  const latenciesMs: number[] = [];
  let failed = 0;
  let firstFailure: string | undefined;
  let sent = 0;
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + command.durationMs;
  await Promise.all(
    Array.from({ length: command.clients }, (_, i) => {
      const client = clients[i % clients.length]!;
      return new Promise<void>((resolve) => {
        const next = () => {
          const at = performance.now();
          if (at >= endsAt) return resolve();
          client.makeUnaryRequest(
            path,
            same,
            same,
            requests[sent++ % requests.length]!,
            metadata,
            (error) => {
              latenciesMs.push(performance.now() - at);
              if (error) {
                failed++;
                firstFailure ??= error.message;
              }
              next();
            },
          );
        };
        next();
      });
    }),
  );
  const wallMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  for (const client of clients) client.close();
  const sorted = latenciesMs.sort((a, b) => a - b);
  return {
    requests: sorted.length,
    failed,
    misrouted: 0,
    firstFailure,
    perSecond: (sorted.length / wallMs) * 1000,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    cpuUs: (user + system) / sorted.length,
  };
}

process.on('message', async (command: LoadCommand) => {
  process.send!(await run(command, await requestsOf(command)));
});
