import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Tensor, TensorSpec } from '../tensors/tensor.ts';
import { FrameReader } from './frame-reader.ts';
import { decodeFrame, encodeBytes, encodeFrame, FRAME, type Frame, textOf } from './frames.ts';
import type { SessionOptions } from './onnx-session.ts';
import {
  type BatchAnswer,
  ModelRefused,
  type Replica,
  RunFailed,
  type Runtime,
  type RuntimeModel,
} from './runtime.ts';

const STDERR_KEPT = 2_000; // characters: enough for ONNX Runtime's last words
// The replica gets no variable of the front: keys and database addresses are none of a model's business.
const ENVIRONMENT_KEPT = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'SystemRoot', 'LD_LIBRARY_PATH'];

export interface OnnxRuntimeOptions {
  /** How long a replica may take to load its model. */
  startMs: number;
}

/**
 * Runs ONNX models, each replica in a process of its own: a model that hangs or crashes is killed and nothing else notices. The front
 * never loads ONNX Runtime.
 *
 * @example const replica = await createOnnxRuntime({ startMs: 30_000 }).start(model)
 */
export function createOnnxRuntime(options: OnnxRuntimeOptions): Runtime {
  return {
    async start(model: RuntimeModel): Promise<Replica> {
      const bytes = await model.load();
      const { threads = 1, placement = 'cpu' } = model;
      const replica = new OnnxReplica(options.startMs, { threads, placement });
      await replica.load(bytes);
      return replica;
    },
  };
}

/** What a replica's process says of its model once it is loaded. */
interface Description extends Required<Pick<Replica, 'inputs' | 'outputs' | 'device'>> {
  residentBytes: number;
}

class OnnxReplica implements Replica {
  readonly takesAhead = true;
  inputs: readonly TensorSpec[] = [];
  outputs: readonly TensorSpec[] = [];
  device: 'cpu' | 'gpu' = 'cpu';
  #residentBytes = 0;
  readonly #child: ChildProcess;
  readonly #channel: Duplex;
  readonly #startMs: number;
  readonly #listeners: ((reason: Error) => void)[] = [];
  /** Who waits for an answer; they come in the order of asking. */
  readonly #waiting: { resolve(frame: Frame): void; reject(error: Error): void }[] = [];
  #stderr = '';
  #ended: Error | undefined;

  constructor(startMs: number, session: SessionOptions) {
    this.#startMs = startMs;
    const env = Object.fromEntries(
      ENVIRONMENT_KEPT.flatMap((name) =>
        process.env[name] === undefined ? [] : [[name, process.env[name]]],
      ),
    );
    this.#child = spawn(
      process.execPath,
      [join(import.meta.dirname, 'replica.ts'), JSON.stringify(session)],
      {
        stdio: ['ignore', 'ignore', 'pipe', 'pipe'], // 3 is a socket pair (a named pipe on Windows)
        env,
      },
    );
    this.#channel = this.#child.stdio[3] as Duplex;
    const reader = new FrameReader((frame) => this.#waiting.shift()?.resolve(decodeFrame(frame)));
    this.#channel.on('data', (chunk: Uint8Array) => reader.push(chunk));
    this.#channel.on('error', () => {}); // the exit says more
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-STDERR_KEPT);
    });
    this.#child.once('error', (error) => this.#end(error));
    this.#child.once('exit', (code, signal) =>
      this.#end(new Error(`the replica ended with ${signal ?? `code ${code}`}. ${this.#stderr}`.trim())),
    );
  }

  async load(bytes: Uint8Array): Promise<void> {
    const timer = setTimeout(() => this.kill(), this.#startMs);
    const answer = await this.#ask(encodeBytes(FRAME.load, 0, bytes)).finally(() => clearTimeout(timer));
    if (answer.kind === FRAME.fail) {
      this.kill();
      throw new ModelRefused(textOf(answer));
    }
    const { inputs, outputs, device, residentBytes } = JSON.parse(textOf(answer)) as Description;
    this.inputs = inputs;
    this.outputs = outputs;
    this.device = device;
    this.#residentBytes = residentBytes;
  }

  /** Of its process: as it is where Linux tells it, else as it was after loading. */
  residentBytes(): number {
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      const kibibytes = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0); // a process that has ended tells none
      if (kibibytes > 0) this.#residentBytes = kibibytes * 1024;
    } catch {
      // This is not Linux, or the process is gone.
    }
    return this.#residentBytes;
  }

  async run(requests: readonly (readonly Tensor[])[]): Promise<BatchAnswer> {
    const answer = await this.#ask(encodeFrame(FRAME.run, 0, requests));
    if (answer.kind === FRAME.fail) throw new RunFailed(textOf(answer));
    const outputs = answer.tensors as (Frame['tensors'][number] & { name: string })[];
    for (let i = 0; i < outputs.length; i++) outputs[i]!.name = this.outputs[i]!.name;
    return { outputs, computeUs: answer.number };
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  onEnd(listener: (reason: Error) => void): void {
    if (this.#ended) listener(this.#ended);
    else this.#listeners.push(listener);
  }

  #ask(frame: Uint8Array): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (this.#ended) return reject(this.#ended);
      this.#waiting.push({ resolve, reject });
      this.#channel.write(frame);
    });
  }

  #end(reason: Error): void {
    if (this.#ended) return;
    this.#ended = reason;
    for (const { reject } of this.#waiting.splice(0)) reject(reason);
    for (const listener of this.#listeners) listener(reason);
  }
}
