// What the serving bench measures inference against, each started as a process of its own with the name of a side:
// `empty`: the same kind of HTTP server, which reads the body and answers with a fixed one; prints its port.
// `raw`: the runtime alone on one thread, asked over IPC.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { median } from './load.ts';
import { MODELS, type ModelName, rowOf } from './serving-models.ts';

export interface RawCommand {
  readonly model: ModelName;
  readonly file: string;
  readonly batch: number;
  readonly durationMs: number;
  /** So many and no more: it rests between batches. */
  readonly rowsPerSecond?: number;
  /** Answers with what the model says of rows 0 to this one, instead of a measurement. */
  readonly expectedRows?: number;
}

export interface RawReport {
  readonly cpuUsPerRow: number;
  readonly p50Ms: number;
  readonly expected: number[][];
}

async function empty(): Promise<void> {
  // As large as the answers that it stands for: an OIP answer with one row of two numbers.
  const body = Buffer.from(
    '{"model_name":"small","model_version":"1","outputs":[{"name":"y","datatype":"FP32","shape":[1,2],"data":[-0.3389227092266083,-0.21762079000473022]}]}',
  );
  const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length };
  const server = createServer({ keepAliveTimeout: 72_000 }, (request, response) => {
    request.on('data', () => {});
    request.on('end', () => {
      response.writeHead(200, headers);
      response.end(body);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as { port: number }).port }));
}

/** As many rows as the generator of the load knows. */
const ROWS = 512;

const sessions = new Map<string, Promise<InferenceSession>>();

async function raw(command: RawCommand): Promise<RawReport> {
  const { model, file, batch, durationMs, expectedRows, rowsPerSecond = Number.POSITIVE_INFINITY } = command;
  let opened = sessions.get(file);
  if (!opened) {
    opened = InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 });
    sessions.set(file, opened);
  }
  const session = await opened;
  const { features, outputs } = MODELS[model];
  const feed = (from: number, rows: number) => {
    const data = Float32Array.from(Array.from({ length: rows }, (_, i) => rowOf(model, from + i)).flat());
    return { x: new Tensor('float32', data, [rows, features]) };
  };
  const expected: number[][] = [];
  for (let row = 0; row < (expectedRows ?? 0); row++) {
    const { y } = await session.run(feed(row, 1));
    expected.push(Array.from((y!.data as Float32Array).subarray(0, outputs)));
  }
  if (expectedRows) return { cpuUsPerRow: 0, p50Ms: 0, expected };
  // Other rows each time, as requests bring them: the branches of trees are not guessed as they are with the same rows again.
  const feeds = Array.from({ length: Math.max(1, Math.ceil(ROWS / batch)) }, (_, i) =>
    feed(i * batch, batch),
  );
  const times: number[] = [];
  let cpuUs = 0;
  const startedAt = performance.now();
  for (let at = startedAt; at < startedAt + durationMs; at = performance.now()) {
    const before = process.cpuUsage();
    await session.run(feeds[times.length % feeds.length]!);
    const { user, system } = process.cpuUsage(before);
    times.push(performance.now() - at);
    cpuUs += user + system;
    const earlyMs = startedAt + (times.length * batch * 1000) / rowsPerSecond - performance.now();
    if (earlyMs > 0) await sleep(earlyMs); // what a timer costs is not counted
  }
  return { cpuUsPerRow: cpuUs / times.length / batch, p50Ms: median(times), expected };
}

if (process.argv[2] === 'empty') await empty();
else process.on('message', async (command: RawCommand) => process.send!(await raw(command)));
