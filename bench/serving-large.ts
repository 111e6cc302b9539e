import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { median, round3 } from './load.ts';
import type { Product } from './product.ts';
import type { BenchOptions, Figures } from './run.ts';
import { IDENTITY_COLUMNS } from './serving-models.ts';
import { serverUse } from './serving-processes.ts';

const MEGABYTES = [4, 16] as const; // a body over 16 MiB is refused
const REQUESTS = 8; // the clock of a process has ticks of 10 ms

/**
 * Answers as large as their questions, of a model that gives back what it takes: milliseconds of CPU of the front and of the replicas, and of waiting,
 * for one request with a binary body. What is linear has four times as much at 16 MB as at 4 MB.
 */
export async function largeAnswers(product: Product, { rounds, progress }: BenchOptions): Promise<Figures> {
  const agent = new Agent({ keepAlive: true });
  const figures: Record<string, number[]> = {};
  const keep = (key: string, value: number) => {
    figures[key] = [...(figures[key] ?? []), value];
  };
  try {
    for (let round = -1; round < rounds; round++) {
      for (const megabytes of MEGABYTES) {
        const body = identityBody(megabytes);
        const before = await serverUse(product.pid);
        const from = performance.now();
        for (let sent = 0; sent < REQUESTS; sent++) await ask(product, agent, body);
        const wallMs = (performance.now() - from) / REQUESTS;
        const after = await serverUse(product.pid);
        const frontMs = (after.frontMs - before.frontMs) / REQUESTS;
        progress(
          `${megabytes} MB in and out: ${wallMs.toFixed(1)} ms, front ${frontMs.toFixed(1)} ms of CPU`,
        );
        if (round < 0) continue;
        keep(`identity${megabytes}MbMs`, wallMs);
        keep(`identity${megabytes}MbFrontMs`, frontMs);
        keep(`identity${megabytes}MbReplicaMs`, (after.replicasMs - before.replicasMs) / REQUESTS);
      }
    }
  } finally {
    agent.destroy();
  }
  return Object.fromEntries(Object.entries(figures).map(([key, values]) => [key, round3(median(values))]));
}

interface BinaryBody {
  readonly header: string;
  readonly data: Uint8Array;
}

function identityBody(megabytes: number): BinaryBody {
  const rows = megabytes * 250;
  const data = new Uint8Array(Float32Array.from({ length: rows * IDENTITY_COLUMNS }, (_, i) => i).buffer);
  const parameters = { binary_data_size: data.byteLength };
  const input = { name: 'x', datatype: 'FP32', shape: [rows, IDENTITY_COLUMNS], parameters };
  const outputs = [{ name: 'y', parameters: { binary_data: true } }];
  return { header: JSON.stringify({ inputs: [input], outputs }), data };
}

/** @throws Error when the answer is not as large as the question */
async function ask(product: Product, agent: Agent, { header, data }: BinaryBody): Promise<void> {
  const sent = request({
    agent,
    host: '127.0.0.1',
    port: product.port,
    path: '/v2/models/identity/infer',
    method: 'POST',
    headers: {
      authorization: `Bearer ${product.key}`,
      'content-type': 'application/octet-stream',
      'inference-header-content-length': header.length,
      'content-length': header.length + data.byteLength,
    },
  });
  sent.write(header);
  sent.end(data);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  let bytes = 0;
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(answer, 'end');
  if (answer.statusCode !== 200 || bytes < data.byteLength)
    throw new Error(`the answer has the status ${answer.statusCode} and ${bytes} bytes`);
}
