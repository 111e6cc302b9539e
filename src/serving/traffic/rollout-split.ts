import type { ErrorCode } from '../../kernel/error-codes.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { Agreement } from './agreement.ts';

/** What a rollout asks of the traffic to an alias of a model. */
export interface TrafficSplit {
  readonly id: string;
  readonly model: string;
  readonly alias: string;
  readonly champion: number;
  readonly challenger: number;
  /** The share of the keys, 0 to 100, that the challenger answers. */
  readonly percent: number;
  /** Copies to the other version, off the path of the answer: their share of the requests, 0 to 1. */
  readonly comparison: { readonly share: number; readonly tolerance: number } | null;
  /** True where the challenger gets nothing but copies: then they are counted as its requests. */
  readonly shadow: boolean;
  /** The two do not take the same calls, and that is meant: a call goes to the one that takes it. */
  readonly isForced: boolean;
}

export type Side = 'champion' | 'challenger';

/** What one version did since it was asked last. Latencies are sparse: eight buckets to a doubling, from 1 µs. */
export interface SideCounter {
  requests: number;
  errors: number;
  latencyMsSum: number;
  latencies: Record<string, number>;
  compared: number;
  agreed: number;
  differences: number;
  differenceSum: number;
  differenceMax: number;
  dropped: number;
  copiesMicroUsd: number;
}

export interface SplitCounts {
  readonly id: string;
  readonly champion: SideCounter;
  readonly challenger: SideCounter;
}

/** Failures that are a version's own. What the caller sent wrong, gave up or may not ask that often says nothing of it. */
const OWN_FAILURES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'serving.model_failed',
  'serving.timeout',
  'serving.replica_lost',
  'serving.upstream_failed',
  'serving.upstream_limited',
  'serving.unavailable',
  'serving.memory_exceeded',
  'serving.circuit_open',
  'chat.upstream_failed',
  'chat.upstream_limited',
  'chat.misconfigured',
  'chat.stream_cut',
  'chat.output_invalid',
  'request.overloaded',
  'internal',
]);
const GOLDEN = 0.618_033_988_749_894_9; // steps of this size around the circle are spread most evenly

/**
 * The side of a key. It depends on the rollout and the key alone, and as the percent grows keys only ever go to the challenger.
 *
 * @example sideOf({ id: 'rol_01…', percent: 10 }, 'customer-7') // 'champion'
 */
export function sideOf({ id, percent }: Pick<TrafficSplit, 'id' | 'percent'>, key: string): Side {
  return placeOf(key, saltOf(id)) * 100 < percent ? 'challenger' : 'champion';
}

/** A split in force: which side a key is on, and what both sides did. */
export class ActiveSplit {
  plan: TrafficSplit;
  readonly #salt: number;
  #turn = Math.random();
  #copyTurn = Math.random();
  #champion = newCounter();
  #challenger = newCounter();

  constructor(plan: TrafficSplit) {
    this.plan = plan;
    this.#salt = saltOf(plan.id);
  }

  /** The side of a call, by its key. Without a key each call stands for itself, and the calls are spread evenly. */
  sideOf(key: string | undefined): Side {
    const { percent } = this.plan;
    if (percent <= 0) return 'champion';
    if (key !== undefined) return placeOf(key, this.#salt) * 100 < percent ? 'challenger' : 'champion';
    this.#turn = (this.#turn + GOLDEN) % 1;
    return this.#turn * 100 < percent ? 'challenger' : 'champion';
  }

  /** Whether the request whose turn it is now is copied. */
  isCopied(): boolean {
    const share = this.plan.comparison?.share ?? 0;
    if (share <= 0) return false;
    this.#copyTurn = (this.#copyTurn + GOLDEN) % 1;
    return this.#copyTurn < share;
  }

  succeeded(side: Side, ms: number): void {
    const counter = this.#of(side);
    counter.requests++;
    counter.latencyMsSum += ms;
    const bucket = Math.max(0, Math.floor(8 * Math.log2(ms * 1000)));
    counter.latencies[bucket] = (counter.latencies[bucket] ?? 0) + 1;
  }

  failed(side: Side, error: unknown): void {
    if (error instanceof AiosError && !isOwn(error)) return;
    const counter = this.#of(side);
    counter.requests++;
    counter.errors++;
  }

  compared({ rows, agreed, differences, differenceSum, differenceMax }: Agreement, microUsd: number): void {
    const counter = this.#challenger;
    counter.compared += rows;
    counter.agreed += agreed;
    counter.differences += differences;
    counter.differenceSum += differenceSum;
    counter.differenceMax = Math.max(counter.differenceMax, differenceMax);
    counter.copiesMicroUsd += microUsd;
  }

  dropped(): void {
    this.#challenger.dropped++;
  }

  /** What was counted since the last call; undefined when nothing was. */
  drain(): SplitCounts | undefined {
    const counts = { id: this.plan.id, champion: this.#champion, challenger: this.#challenger };
    const { champion, challenger } = counts;
    if (champion.requests + challenger.requests + challenger.compared + challenger.dropped === 0)
      return undefined;
    this.#champion = newCounter();
    this.#challenger = newCounter();
    return counts;
  }

  #of(side: Side): SideCounter {
    return side === 'champion' ? this.#champion : this.#challenger;
  }
}

function isOwn({ code, extensions }: AiosError): boolean {
  return OWN_FAILURES.has(code) && extensions.deadlineOf !== 'caller';
}

function newCounter(): SideCounter {
  return {
    requests: 0,
    errors: 0,
    latencyMsSum: 0,
    latencies: {},
    compared: 0,
    agreed: 0,
    differences: 0,
    differenceSum: 0,
    differenceMax: 0,
    dropped: 0,
    copiesMicroUsd: 0,
  };
}

/** FNV-1a over the code units, then the finalizer of MurmurHash3: without it keys that count up would lie close together. */
function mixed(text: string, seed: number): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function saltOf(id: string): number {
  return mixed(id, 0x811c9dc5);
}

/** The place of a key on a circle of length 1. */
function placeOf(key: string, salt: number): number {
  return mixed(key, salt) / 2 ** 32;
}
