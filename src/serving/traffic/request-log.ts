import { isSpanContextValid, metrics, trace } from '@opentelemetry/api';
import { canonicalize, digestOfBytes } from '../../kernel/canonical.ts';
import type { Clock } from '../../kernel/clock.ts';
import { firstId, newId } from '../../kernel/ids.ts';
import type { Json, JsonObject } from '../../kernel/json.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import type { Committer } from '../../store/group-commit.ts';
import { type Write, write } from '../../store/lane.ts';
import type { Share } from '../hosting/request.ts';
import type { ScoreOutputs } from '../hosting/score.ts';
import type { Signature } from '../tensors/signature.ts';
import type { Tensor } from '../tensors/tensor.ts';
import type { AnsweredBy, InferCall, ScoreCall, ServedModel } from './calls.ts';
import { type RequestRow, type RequestStatus, requestLane } from './request-log-lane.ts';
import { type Sample, sampleOf } from './request-sample.ts';

/** A request that was drawn, with what became of it. */
export interface DrawnRequest {
  readonly call: InferCall | ScoreCall;
  /** The version that was asked. */
  readonly asked: ServedModel;
  /** The signature of the one that answered. */
  signature(): Signature;
  readonly answer?: (Share & AnsweredBy & { readonly outputs: readonly Tensor[] | ScoreOutputs }) | undefined;
  readonly error?: unknown;
  readonly latencyMs: number;
}

/** A request as its row tells it, whatever was asked. */
export interface RequestEntry extends Sample {
  readonly model: string;
  readonly version: number;
  readonly digest: string;
  readonly status: RequestStatus;
  readonly answeredBy?: Pick<AnsweredBy, 'model' | 'version' | 'digest'> | undefined;
  readonly degraded?: AnsweredBy['degraded'];
  readonly cached?: AnsweredBy['cached'];
  readonly caller?: { readonly kind: string; readonly id: string } | undefined;
  readonly step?: { readonly runId: string; readonly stepKey: string } | undefined;
  readonly latencyMs: number;
  readonly costMicroUsd?: number | undefined;
  readonly redacted: readonly string[];
  /** Members of the row that only such requests have. */
  readonly further: JsonObject;
}

/** A sampled request, for the audit log: digests of exactly what its row keeps. */
export interface RequestRecord {
  readonly id: string;
  readonly model: string;
  readonly version: number;
  readonly status: RequestStatus;
  readonly caller: { readonly kind: string; readonly id: string } | null;
  readonly requestDigest: string;
  readonly answerDigest: string;
}

/** What is written together. */
interface RecordedBatch {
  /** What its audit entry is about: `inferences:` and the id of its first request. */
  readonly object: string;
  readonly at: number;
  readonly requests: readonly RequestRecord[];
}

export interface RequestLogDependencies {
  db: Queryable;
  commit: Committer;
  clock: Clock;
  limits: Pick<
    Limits,
    | 'requestLogBytesMax'
    | 'requestLogPauseMs'
    | 'requestLogQueueMax'
    | 'requestLogRetentionMs'
    | 'retentionPassMs'
    | 'retentionRowsMax'
  >;
  /** Writes that are committed with the rows of a batch. */
  record(batch: RecordedBatch): readonly Write[];
  onError(error: unknown): void;
}

export interface RequestFilters {
  readonly model: string;
  readonly version?: number | undefined;
  readonly status?: RequestStatus | undefined;
  readonly callerId?: string | undefined;
  readonly traceId?: string | undefined;
  readonly runId?: string | undefined;
  readonly sinceMs?: number | undefined;
  readonly untilMs?: number | undefined;
}

export type LoggedRequest = JsonObject & {
  readonly id: string;
  readonly at: number;
  /** Of the audit entry that holds its digests. */
  readonly auditObject: string;
  readonly runId?: string;
};

/** A request that waits for its commit. */
interface Gathered {
  readonly row: RequestRow;
  readonly audited: RequestRecord;
}

const counter = metrics.getMeter('aios.serving').createCounter('aios.serving.sampled', { unit: '{request}' });

/**
 * Keeps a sample of what models are asked and answer. Nobody waits for it: what there is no room for is dropped and counted. What was drawn within
 * `requestLogPauseMs` is one transaction, with one audit entry for all: one for each was half of what the log cost, and flooded the audit log (decisions/0032).
 *
 * @example log.keep({ call, asked: model, signature: () => model.signature, answer, latencyMs: 3 }, { sample: 0.01, redact: ['age'] })
 */
export class RequestLog {
  readonly #deps: RequestLogDependencies;
  #writing = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  /** Drawn since the last commit. */
  #gathered: Gathered[] = [];
  #pause: NodeJS.Timeout | undefined;

  constructor(dependencies: RequestLogDependencies) {
    this.#deps = dependencies;
  }

  /** Requests that were drawn and not kept, for want of room or of a database. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Never throws and never waits. */
  keep(drawn: DrawnRequest, redact: readonly string[]): void {
    this.add(() => this.#entry(drawn, redact));
  }

  /** As `keep`, for what is no request of tensors. `make` is asked only while there is room. */
  add(make: () => RequestEntry): void {
    const { limits, onError } = this.#deps;
    if (this.#writing >= limits.requestLogQueueMax) {
      this.#drop(1);
      return;
    }
    try {
      this.#gathered.push(this.#row(make()));
      this.#writing++;
      this.#pause ??= setTimeout(() => void this.#flush(), limits.requestLogPauseMs).unref();
    } catch (error) {
      this.#drop(1);
      onError(error);
    }
  }

  /** The newest first. */
  async read(
    { model, version, status, callerId, traceId, runId, sinceMs, untilMs }: RequestFilters,
    countMax: number,
    beforeId?: string,
  ): Promise<LoggedRequest[]> {
    const upTo = untilMs === undefined ? undefined : firstId('inf', untilMs);
    const before = [beforeId, upTo].filter((id) => id !== undefined).sort()[0];
    const rows = await this.#deps.db.query<{
      id: string;
      at: number;
      run_id: string | null;
      audit_object: string;
      body: JsonObject;
    }>(
      `select id, at, run_id, audit_object, body from inference_requests
       where model = $1 and ($2::int is null or version = $2) and ($3::text is null or status = $3)
         and ($4::text is null or caller_id = $4) and ($5::text is null or trace_id = $5) and ($6::text is null or run_id = $6)
         and ($7::text is null or id >= $7) and ($8::text is null or id < $8)
       order by id desc limit $9`,
      [
        model,
        version ?? null,
        status ?? null,
        callerId ?? null,
        traceId ?? null,
        runId ?? null,
        sinceMs === undefined ? null : firstId('inf', sinceMs),
        before ?? null,
        countMax,
      ],
    );
    return rows.map(({ id, at, run_id, audit_object, body }) => ({
      id,
      at,
      auditObject: audit_object,
      ...(run_id !== null && { runId: run_id }),
      ...body,
    }));
  }

  /** Deletes what is over its retention, now and from time to time. */
  start(): void {
    const pass = () => void this.forget().catch(this.#deps.onError);
    this.#timer ??= setInterval(pass, this.#deps.limits.retentionPassMs).unref();
    pass();
  }

  /** Writes what was drawn. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.#flush();
  }

  /** Answers with how many were deleted. */
  async forget(): Promise<number> {
    const { db, clock, limits } = this.#deps;
    const before = firstId('inf', clock.now() - limits.requestLogRetentionMs);
    for (let deleted = 0; ; ) {
      const rows = await db.query(
        `delete from inference_requests where id in
         (select id from inference_requests where id < $1 order by id limit $2) returning id`,
        [before, limits.retentionRowsMax],
      );
      deleted += rows.length;
      if (rows.length < limits.retentionRowsMax) return deleted;
    }
  }

  /** One commit for all that were drawn in a pause: one for each costs as much as a hundred small inferences. */
  async #flush(): Promise<void> {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    const gathered = this.#gathered;
    const [first] = gathered;
    if (!first) return;
    this.#gathered = [];
    const { commit, clock, record } = this.#deps;
    const object = `inferences:${first.row.id}`;
    const rows = gathered.map(({ row }) => row);
    const requests = gathered.map(({ audited }) => audited);
    try {
      await commit.commit([
        write(requestLane, { auditObject: object, rows }),
        ...record({ object, at: clock.now(), requests }),
      ]);
      counter.add(gathered.length, { outcome: 'kept' });
    } catch (error) {
      this.#drop(gathered.length);
      this.#deps.onError(error);
    } finally {
      this.#writing -= gathered.length;
    }
  }

  #drop(count: number): void {
    this.#dropped += count;
    counter.add(count, { outcome: 'dropped' });
  }

  #entry(
    { call, asked, signature, answer, error, latencyMs }: DrawnRequest,
    redact: readonly string[],
  ): RequestEntry {
    const input = 'features' in call ? { features: call.features } : { inputs: call.inputs };
    const sample = sampleOf({
      input,
      outputs: answer?.outputs,
      error,
      asked: asked.signature,
      answered: signature(),
      redact,
      bytesMax: this.#deps.limits.requestLogBytesMax,
    });
    return {
      model: asked.name,
      version: asked.version,
      digest: asked.digest,
      status: answer === undefined ? 'failed' : answer.degraded ? 'degraded' : 'answered',
      answeredBy: answer,
      degraded: answer?.degraded,
      cached: answer?.cached,
      caller: call.caller,
      step: call.step,
      latencyMs,
      costMicroUsd: answer?.costMicroUsd,
      redacted: redact,
      ...sample,
      further: {
        computeUs: answer?.computeUs ?? null,
        batchRows: answer?.batchRows ?? null,
        // Of an ensemble: what it asked.
        ...(answer?.parameters?.parts !== undefined && { parts: answer.parameters.parts }),
      },
    };
  }

  #row(entry: RequestEntry): Gathered {
    const at = this.#deps.clock.now();
    const span = trace.getActiveSpan()?.spanContext();
    const traceId = span && isSpanContextValid(span) ? span.traceId : undefined;
    const { model, version, digest, status, answeredBy, degraded, cached, caller, step } = entry;
    const { latencyMs, costMicroUsd, redacted, request, answer, error, truncated, further } = entry;
    const head = { id: newId('inf', at), model, version, status };
    const told = {
      model,
      version,
      digest,
      status,
      answeredBy: answeredBy
        ? { model: answeredBy.model, version: answeredBy.version, digest: answeredBy.digest }
        : null,
      degraded: degraded ? { ...degraded } : null,
      cached: cached ?? null,
      caller: caller ? { kind: caller.kind, id: caller.id } : null,
      traceId: traceId ?? null,
      stepKey: step?.stepKey ?? null,
      latencyMs,
      costMicroUsd: costMicroUsd ?? null,
      redacted: [...redacted],
      truncated,
      ...further,
    } satisfies { [name: string]: Json };
    // Each text is written once, for its digest and for the row, and now: in a flush, those of all that were drawn in a pause would hold up every caller at the same time.
    const texts = {
      request: canonicalize(request),
      answer: canonicalize(answer),
      error: canonicalize(error),
    };
    const requestDigest = digestOfBytes(texts.request);
    const answerDigest = digestOfBytes(answer === null ? texts.error : texts.answer);
    const body = `${JSON.stringify(told).slice(0, -1)},"request":${texts.request},"answer":${texts.answer},"error":${texts.error}}`;
    return {
      row: { ...head, at, callerId: caller?.id, traceId, runId: step?.runId, body },
      audited: { ...head, caller: told.caller, requestDigest, answerDigest },
    };
  }
}
