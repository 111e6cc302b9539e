import { hash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { AiosError } from '../../kernel/errors.ts';
import type { Share } from '../hosting/request.ts';
import type { ScoreOutputs } from '../hosting/score.ts';
import { bytesOf, dataOfBytes, type Tensor } from '../tensors/tensor.ts';

/** What an answer holds apart from its cost. */
type Outputs = readonly Tensor[] | ScoreOutputs;
export type Answer = Share & { readonly outputs: Outputs };

interface Kept {
  readonly outputs: Outputs;
  readonly parameters: Share['parameters'];
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

/** A call that is being computed, until when its caller waits, and how urgent it is. */
interface Running {
  readonly answering: Promise<Answer>;
  readonly deadlineAtMs: number;
  readonly level: number;
}

interface Waiting {
  readonly rows: number;
  readonly deadlineAtMs: number;
  readonly signal: AbortSignal | undefined;
  /** Its priority: 0 is the highest. */
  readonly level: number;
}

const EXACT_BYTES_MAX = 256; // up to this the input is its own key: a digest costs 0.6 µs
const TIMER_MS_MAX = 2 ** 31 - 1; // a longer one would end at once
const ENTRY_BYTES = 200; // what the maps need for one entry, about

/**
 * The answers of one version by the bytes of their inputs. Of calls that ask the same at once, one is computed and the others wait for it; one
 * whose caller gave up leaves the computation to the next.
 *
 * @example const answer = cache.find(key, request.rows) ?? (await cache.through(key, request, () => run(request)))
 */
export class ResponseCache {
  readonly #ttlMs: number;
  readonly #kept: LRUCache<string, Kept>;
  readonly #running = new Map<string, Running>();
  #hits = 0;
  #misses = 0;
  #shared = 0;

  constructor({ ttlMs, entriesMax, bytesMax }: { ttlMs: number; entriesMax: number; bytesMax: number }) {
    this.#ttlMs = ttlMs;
    this.#kept = new LRUCache({ max: entriesMax, maxSize: bytesMax });
  }

  /** A kept answer, at no cost. */
  find<A extends Answer>(key: string, rows: number): (A & { cached: 'hit' }) | undefined {
    const kept = this.#kept.get(key);
    if (!kept || kept.untilMs <= performance.now()) return undefined;
    this.#hits++;
    return free(kept, rows, 'hit') as A & { cached: 'hit' };
  }

  /**
   * The answer to a call that is not kept: shared with a call under way that is as urgent, at no cost, or computed.
   *
   * @throws AiosError `serving.timeout`, `serving.canceled` while it waits for another call, and what `compute` throws
   */
  async through<A extends Answer>(
    key: string,
    waiting: Waiting,
    compute: () => Promise<A>,
  ): Promise<A & { cached?: 'hit' | 'shared' }> {
    for (let running = this.#running.get(key); running; running = this.#running.get(key)) {
      // What is less urgent stands further back in the queue; copies of a rollout stand behind everything.
      if (running.level > waiting.level) break;
      const answer = await within(running, waiting);
      if (!answer) continue;
      this.#shared++;
      const shared = free(answer, waiting.rows, 'shared') as A & { cached: 'shared' };
      return answer.degraded ? { ...shared, degraded: answer.degraded } : shared;
    }
    this.#misses++;
    const answering = compute();
    const own: Running = { answering, deadlineAtMs: waiting.deadlineAtMs, level: waiting.level };
    this.#running.set(key, own);
    try {
      const answer = await answering;
      if (!answer.degraded) this.#keep(key, answer);
      return answer;
    } finally {
      if (this.#running.get(key) === own) this.#running.delete(key);
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

  #keep(key: string, { outputs, parameters }: Answer): void {
    const own = Array.isArray(outputs) ? outputs.map(ownTensor) : { ...outputs };
    const size = ENTRY_BYTES + key.length + sizeOf(own);
    this.#kept.set(key, { outputs: own, parameters, untilMs: performance.now() + this.#ttlMs }, { size });
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
  const [first] = tensors;
  const all = tensors.length === 1 && first ? bufferOf(first) : Buffer.concat(tensors.map(bufferOf));
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

/** Named results are copied: who gets them may change them. */
function free(
  { outputs: kept, parameters }: Pick<Answer, 'outputs' | 'parameters'>,
  batchRows: number,
  cached: 'hit' | 'shared',
) {
  const outputs = Array.isArray(kept) ? kept : { ...kept };
  const answer = { outputs, computeUs: 0, batchRows, costMicroUsd: 0, cached };
  return parameters ? { ...answer, parameters } : answer;
}

/** The call ended for a reason of its own caller: it says nothing to those who wait for the same answer. */
function isGivenUp(error: unknown, deadlineAtMs: number): boolean {
  if (!(error instanceof AiosError)) return false;
  return (
    error.code === 'serving.canceled' ||
    (error.code === 'serving.timeout' && performance.now() >= deadlineAtMs)
  );
}

/** What the call under way answers; nothing when its caller gave up. */
function within(
  { answering, deadlineAtMs: itsDeadlineAtMs }: Running,
  { deadlineAtMs, signal }: Waiting,
): Promise<Answer | undefined> {
  return new Promise((resolve, reject) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cancel);
    };
    const cancel = () => {
      end();
      reject(new AiosError('serving.canceled', { cause: signal?.reason }));
    };
    const expire = () => {
      end();
      reject(new AiosError('serving.timeout', { detail: 'The deadline has passed.' }));
    };
    const leftMs = Math.max(0, deadlineAtMs - performance.now());
    const timer = setTimeout(expire, Math.min(leftMs, TIMER_MS_MAX));
    if (signal?.aborted) return cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    answering
      .then(resolve, (error: unknown) => {
        if (isGivenUp(error, itsDeadlineAtMs)) resolve(undefined);
        else reject(error);
      })
      .finally(end);
  });
}
