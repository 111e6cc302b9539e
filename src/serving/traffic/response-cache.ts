import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { AiosError } from '../../kernel/errors.ts';
import type { Share } from '../hosting/request.ts';
import type { ScoreOutputs } from '../hosting/score.ts';
import { bytesOf, dataOfBytes, type Tensor } from '../tensors/tensor.ts';

/** What an answer holds apart from its cost. */
export type Outputs = readonly Tensor[] | ScoreOutputs;
export type Answer = Share & { readonly outputs: Outputs };

interface Kept {
  readonly outputs: Outputs;
  readonly untilMs: number;
}

export interface CacheStatistics {
  readonly hits: number;
  readonly misses: number;
  /** Calls that were answered with what another call was computing. */
  readonly shared: number;
  readonly entries: number;
  readonly bytes: number;
}

interface Waiting {
  readonly rows: number;
  readonly deadlineAtMs: number;
  readonly signal: AbortSignal | undefined;
}

const EXACT_BYTES_MAX = 256; // up to this the input is its own key: a digest costs 0.6 µs
const ENTRY_BYTES = 200; // what the maps need for one entry, about

/**
 * The answers of one version by the bytes of their inputs. Of calls that ask the same at once, one is computed and the others wait for it; one
 * whose caller gave up leaves the computation to the next.
 *
 * @example await cache.through(keyOf('score', request.inputs), request, () => run(request))
 */
export class ResponseCache {
  readonly #ttlMs: number;
  readonly #kept: LRUCache<string, Kept>;
  /** Nothing when the caller gave up: then the next one computes. */
  readonly #running = new Map<string, Promise<Outputs | undefined>>();
  #hits = 0;
  #misses = 0;
  #shared = 0;

  constructor({ ttlMs, entriesMax, bytesMax }: { ttlMs: number; entriesMax: number; bytesMax: number }) {
    this.#ttlMs = ttlMs;
    this.#kept = new LRUCache({ max: entriesMax, maxSize: bytesMax });
  }

  /**
   * The answer to a call: kept, shared with a call under way, or computed. What was not computed for this call costs nothing.
   *
   * @throws AiosError `serving.timeout`, `serving.canceled` while it waits for another call, and what `compute` throws
   */
  async through<A extends Answer>(
    key: string,
    waiting: Waiting,
    compute: () => Promise<A>,
  ): Promise<A & { cached?: 'hit' | 'shared' }> {
    for (;;) {
      const kept = this.#kept.get(key);
      if (kept && kept.untilMs > performance.now()) {
        this.#hits++;
        return free(kept.outputs, waiting.rows, 'hit') as A & { cached: 'hit' };
      }
      const running = this.#running.get(key);
      if (!running) return this.#compute(key, waiting.deadlineAtMs, compute);
      const outputs = await within(running, waiting);
      if (!outputs) continue;
      this.#shared++;
      return free(outputs, waiting.rows, 'shared') as A & { cached: 'shared' };
    }
  }

  statistics(): CacheStatistics {
    return {
      hits: this.#hits,
      misses: this.#misses,
      shared: this.#shared,
      entries: this.#kept.size,
      bytes: this.#kept.calculatedSize,
    };
  }

  async #compute<A extends Answer>(key: string, deadlineAtMs: number, compute: () => Promise<A>): Promise<A> {
    this.#misses++;
    const computed = compute();
    const told = computed.then(
      ({ outputs }) => outputs,
      (error: unknown) => {
        if (isGivenUp(error, deadlineAtMs)) return undefined;
        throw error;
      },
    );
    told.catch(() => {}); // nobody may wait for it
    this.#running.set(key, told);
    try {
      const answer = await computed;
      this.#keep(key, answer.outputs);
      return answer;
    } finally {
      this.#running.delete(key);
    }
  }

  #keep(key: string, outputs: Outputs): void {
    const own = Array.isArray(outputs) ? outputs.map(ownTensor) : Object.freeze({ ...outputs });
    const size = ENTRY_BYTES + key.length + sizeOf(own);
    this.#kept.set(key, { outputs: own, untilMs: performance.now() + this.#ttlMs }, { size });
  }
}

/**
 * The key of an input: its bytes in the order of the signature, with their shapes.
 *
 * @example keyOf('score', [{ name: 'features', datatype: 'FP32', shape: [1, 2], data }])
 */
export function keyOf(kind: 'infer' | 'score', tensors: readonly Tensor[]): string {
  let bytes = 0;
  let shapes = kind === 'score' ? 's' : 'i';
  for (const { shape, data } of tensors) {
    bytes += data.byteLength;
    if (kind === 'infer') shapes += `${shape.join()};`;
  }
  if (tensors.length === 1 && bytes <= EXACT_BYTES_MAX) {
    return shapes + bufferOf(tensors[0]!).toString('latin1');
  }
  const all = Buffer.concat(tensors.map(bufferOf));
  return shapes + hash('sha256', all, 'base64');
}

function bufferOf({ data }: Tensor): Buffer {
  const bytes = bytesOf(data);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A tensor that is a view of a batch would keep all of it in memory. */
function ownTensor({ name, datatype, shape, data }: Tensor): Tensor {
  const own = dataOfBytes(datatype, bytesOf(data).slice(), data.length, name);
  return { name, datatype, shape, data: own };
}

function sizeOf(outputs: Outputs): number {
  let bytes = 0;
  if (Array.isArray(outputs)) {
    for (const { data } of outputs as readonly Tensor[]) bytes += ENTRY_BYTES + data.byteLength;
    return bytes;
  }
  for (const value of Object.values(outputs)) bytes += 16 + (Array.isArray(value) ? 8 * value.length : 0);
  return bytes;
}

function free(outputs: Outputs, batchRows: number, cached: 'hit' | 'shared') {
  return { outputs, computeUs: 0, batchRows, costMicroUsd: 0, cached };
}

/** The call ended for a reason of its own caller: it says nothing to those who wait for the same answer. */
function isGivenUp(error: unknown, deadlineAtMs: number): boolean {
  if (!(error instanceof AiosError)) return false;
  return (
    error.code === 'serving.canceled' ||
    (error.code === 'serving.timeout' && performance.now() >= deadlineAtMs)
  );
}

function within<T>(running: Promise<T>, { deadlineAtMs, signal }: Waiting): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    };
    const cancel = () => {
      end();
      reject(new AiosError('serving.canceled', { cause: signal?.reason }));
    };
    const timer = setTimeout(
      () => {
        end();
        reject(new AiosError('serving.timeout', { detail: 'The deadline has passed.' }));
      },
      Math.max(0, deadlineAtMs - performance.now()),
    );
    if (signal?.aborted) return cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    void running.then(resolve, reject).finally(end);
  });
}
