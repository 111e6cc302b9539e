import { availableParallelism, totalmem } from 'node:os';
import { AiosError } from '../../kernel/errors.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Replica } from '../runtimes/runtime.ts';

const MACHINE_SHARE = 0.8; // of the memory that this process may use: the rest is for the front, the database, the system
const EVICT_IDLE_MS = 250; // a model that answered within this is in use: two models that do not fit together take turns, not each call
const MEASURED_MAX = 1_000; // digests whose measures are kept
const REFRESH_MS = 10_000; // a replica grows with the batches it has seen

/** What is unloaded to make room. */
export interface Unloadable {
  readonly lastUsedAtMs: number;
  /** Nothing waits and nothing runs. */
  readonly idle: boolean;
  unload(): void;
}

interface Holding {
  readonly host: Unloadable;
  readonly measured: Measured;
  readonly threads: number;
  replica: Replica | undefined;
  bytes: number;
}

/** What the first replica of a model, on the same kind of place, found out. */
export interface Measured {
  bestBatch?: number;
  residentBytes?: number;
}

/**
 * What the hosts of one process share: memory, cores, and what was measured of a model, by its digest.
 *
 * A replica's memory is measured once it runs; the next one of the same model is held to that before it starts.
 */
export class Capacity {
  readonly memoryBytesMax: number;
  readonly coresMax: number;
  readonly limits: Pick<
    Limits,
    'inferenceRowsMax' | 'modelMemoryBytesMax' | 'replicaScaleMs' | 'replicaIdleMs'
  >;
  readonly #holdings = new Set<Holding>();
  readonly #measured = new Map<string, Measured>();
  #refreshedAtMs = 0;

  constructor(limits: Capacity['limits'], coresMax = availableParallelism()) {
    this.limits = limits;
    this.coresMax = coresMax;
    const machine = process.constrainedMemory();
    const bytes = machine > 0 && machine < totalmem() ? machine : totalmem();
    this.memoryBytesMax = Math.min(limits.modelMemoryBytesMax, Math.floor(bytes * MACHINE_SHARE));
  }

  /** Bytes that replicas hold, and those that start are expected to. */
  get memoryBytes(): number {
    let bytes = 0;
    for (const holding of this.#holdings) bytes += holding.bytes;
    return bytes;
  }

  /** By the model's digest and whatever else changes what it needs. */
  measured(key: string): Measured {
    let measured = this.#measured.get(key);
    if (!measured) {
      measured = {};
      if (this.#measured.size >= MEASURED_MAX)
        this.#measured.delete(this.#measured.keys().next().value as string);
      this.#measured.set(key, measured);
    }
    return measured;
  }

  /** True when another replica would leave every thread its core and fit into memory as it is. */
  mayGrow(host: Unloadable, threads: number): boolean {
    let used = threads;
    let bytes = 0;
    for (const holding of this.#holdings) {
      used += holding.threads;
      if (holding.host === host) bytes = Math.max(bytes, holding.bytes);
    }
    return used <= this.coresMax && this.memoryBytes + bytes <= this.memoryBytesMax;
  }

  /**
   * Starts a replica within the memory that there is: models that nobody uses, the least recently used first, make room.
   *
   * @throws AiosError `serving.memory_exceeded`; what `start` rejects with
   */
  async hold(
    host: Unloadable,
    measured: Measured,
    threads: number,
    start: () => Promise<Replica>,
  ): Promise<Replica> {
    this.refresh();
    const known = measured.residentBytes ?? 0;
    this.#makeRoom(host, known);
    const holding: Holding = { host, measured, threads, replica: undefined, bytes: known };
    this.#holdings.add(holding);
    let replica: Replica;
    try {
      replica = await start();
    } catch (error) {
      this.#holdings.delete(holding);
      throw error;
    }
    replica.onEnd(() => this.#holdings.delete(holding));
    holding.bytes = replica.residentBytes?.() ?? 0;
    holding.replica = replica;
    measured.residentBytes = holding.bytes;
    try {
      this.#makeRoom(host, 0);
    } catch (error) {
      replica.kill();
      this.#holdings.delete(holding);
      throw error;
    }
    return replica;
  }

  residentBytes(host: Unloadable): number {
    let bytes = 0;
    for (const holding of this.#holdings) if (holding.host === host) bytes += holding.bytes;
    return bytes;
  }

  /** Measures the replicas anew, at most every `REFRESH_MS`. */
  refresh(nowMs = performance.now()): void {
    if (nowMs - this.#refreshedAtMs < REFRESH_MS) return;
    this.#refreshedAtMs = nowMs;
    for (const holding of this.#holdings) {
      const bytes = holding.replica?.residentBytes?.() ?? 0;
      if (bytes === 0) continue;
      holding.bytes = bytes;
      holding.measured.residentBytes = bytes;
    }
    // What has grown past the limit makes the idle ones go; those in use stay, and no other is started beside them.
    while (this.memoryBytes > this.memoryBytesMax) if (!this.#unloadOne(undefined)) break;
  }

  #makeRoom(host: Unloadable, bytes: number): void {
    while (this.memoryBytes + bytes > this.memoryBytesMax) {
      if (!this.#unloadOne(host)) throw this.#exceeded(host, bytes);
    }
  }

  /** Unloads the host that was used longest ago, of those that nobody uses now. */
  #unloadOne(besides: Unloadable | undefined): boolean {
    const least = this.#leastRecentlyUsed(besides);
    if (!least) return false;
    least.unload();
    // Their processes end in a moment: the room is another's at once.
    for (const holding of this.#holdings) if (holding.host === least) this.#holdings.delete(holding);
    return true;
  }

  #leastRecentlyUsed(besides: Unloadable | undefined): Unloadable | undefined {
    const nowMs = performance.now();
    let least: Unloadable | undefined;
    for (const { host, replica, bytes } of this.#holdings) {
      if (host === besides || !replica || bytes === 0) continue;
      if (!host.idle || nowMs - host.lastUsedAtMs < EVICT_IDLE_MS) continue;
      if (!least || host.lastUsedAtMs < least.lastUsedAtMs) least = host;
    }
    return least;
  }

  #exceeded(host: Unloadable, bytes: number): AiosError {
    const own = this.residentBytes(host) + bytes;
    const mebibytes = (value: number) => Math.ceil(value / 2 ** 20);
    if (own > this.memoryBytesMax) {
      return new AiosError('serving.memory_exceeded', {
        detail: `It needs ${mebibytes(own)} MiB; all models together may hold ${mebibytes(this.memoryBytesMax)} MiB.`,
        extensions: { limitName: 'modelMemoryBytesMax', limit: this.memoryBytesMax },
      });
    }
    const others = mebibytes(this.memoryBytes + bytes - own);
    return new AiosError('serving.unavailable', {
      detail: `It needs ${mebibytes(own)} MiB; models in use hold ${others} of ${mebibytes(this.memoryBytesMax)} MiB.`,
      extensions: { limitName: 'modelMemoryBytesMax', limit: this.memoryBytesMax },
    });
  }
}
