import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './product.ts';

/** Another server with the bench's small model. */
export interface Peer {
  readonly name: 'mlserver' | 'bentoml';
  readonly port: number;
  /** Where it has one. */
  readonly grpcPort?: number;
  readonly pid: number;
  readonly path: string;
  readonly form: 'oip' | 'bare';
  stop(): Promise<void>;
}

const PEERS = join(import.meta.dirname, 'peers');
/** Fixed, so that two runs of the bench compare the same. */
const PACKAGES = {
  mlserver: ['mlserver==1.7.1', 'onnxruntime', 'numpy'],
  bentoml: ['bentoml==1.4.39', 'onnxruntime', 'numpy'],
} as const;
const START_MS = 60_000;

/** MLServer and BentoML with the same ONNX file; one that cannot be installed or started is left out, and a line says why. */
export async function startPeers(file: string, progress: (line: string) => void): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (const name of ['mlserver', 'bentoml'] as const) {
    try {
      peers.push(await (name === 'mlserver' ? startMlserver : startBentoml)(file, install(name, progress)));
    } catch (error) {
      progress(`without ${name}: ${(error as Error).message}`);
    }
  }
  return peers;
}

/** An environment of its own in bench/peers, once; answers with its folder of programs. */
function install(name: keyof typeof PACKAGES, progress: (line: string) => void): string {
  const folder = join(PEERS, '.venv', name);
  const bin = join(folder, process.platform === 'win32' ? 'Scripts' : 'bin');
  if (existsSync(join(folder, 'complete'))) return bin;
  progress(`Installing ${name} into bench/peers/.venv (once) …`);
  const run = (command: string, ...args: string[]) => {
    const { status, error, stderr } = spawnSync(command, args, {
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (status !== 0)
      throw new Error(
        `${command} ${args.slice(0, 3).join(' ')}: ${error?.message ?? stderr.trim().split('\n').at(-1)}`,
      );
  };
  run('python3', '-m', 'venv', folder);
  run(join(bin, 'pip'), 'install', '--quiet', '--disable-pip-version-check', ...PACKAGES[name]);
  writeFileSync(join(folder, 'complete'), '');
  return bin;
}

async function startMlserver(file: string, bin: string): Promise<Peer> {
  const folder = await mkdtemp(join(tmpdir(), 'aios-bench-mlserver-'));
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const settings = {
    debug: false,
    host: '127.0.0.1',
    http_port: http,
    grpc_port: grpc,
    metrics_port: metrics,
    parallel_workers: 0, // with a worker process it was not ready within a minute on two shared cores
  };
  const model = {
    name: 'small',
    implementation: 'mlserver_model.OnnxModel',
    max_batch_size: 64,
    max_batch_time: 0.001,
    parameters: { uri: file },
  };
  await writeFile(join(folder, 'settings.json'), JSON.stringify(settings));
  await writeFile(join(folder, 'model-settings.json'), JSON.stringify(model));
  const child = spawn(join(bin, 'mlserver'), ['start', folder], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PYTHONPATH: PEERS },
  });
  const stop = () => end(child).then(() => rm(folder, { recursive: true, force: true }));
  await untilReady(child, `http://127.0.0.1:${http}/v2/models/small/ready`, stop);
  return {
    name: 'mlserver',
    port: http,
    grpcPort: grpc,
    pid: child.pid!,
    path: '/v2/models/small/infer',
    form: 'oip',
    stop,
  };
}

async function startBentoml(file: string, bin: string): Promise<Peer> {
  const port = await freePort();
  const args = ['serve', 'bentoml_service:Small', '--host', '127.0.0.1', '--port', String(port)];
  const child = spawn(join(bin, 'bentoml'), args, {
    cwd: PEERS,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, BENCH_MODEL: file, BENTOML_DO_NOT_TRACK: 'True', BENTOML_QUIET: 'True' },
  });
  const stop = () => end(child);
  await untilReady(child, `http://127.0.0.1:${port}/readyz`, stop);
  return { name: 'bentoml', port, pid: child.pid!, path: '/infer', form: 'bare', stop };
}

async function untilReady(child: ChildProcess, url: string, stop: () => Promise<void>): Promise<void> {
  for (const endsAt = performance.now() + START_MS; performance.now() < endsAt; await sleep(200)) {
    if (child.exitCode !== null) break;
    const isReady = await fetch(url).then(
      (response) => response.ok,
      () => false,
    );
    if (isReady) return;
  }
  await stop();
  throw new Error(`it was not ready within ${START_MS / 1000} s`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await exited;
  clearTimeout(timer);
}
