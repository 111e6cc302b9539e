import type { Clock } from '../../kernel/clock.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { Queryable } from '../../store/database.ts';
import type { Committer } from '../../store/group-commit.ts';
import { plannedLane, write } from '../../store/lane.ts';
import { columns, timestamp } from '../../store/rows.ts';
import { StreamRedaction } from './stream-redaction.ts';

interface LogPiece {
  readonly runId: string;
  readonly stepKey: string;
  readonly trainingRun: string;
  readonly stream: 'stdout' | 'stderr';
  readonly text: string;
  readonly at: number;
}

export interface ToldLogPiece extends LogPiece {
  readonly seq: number;
}

const FLUSH_MS = 500; // what a person who looks on waits for at most
const TAIL_CHARS = 2_000;
const PIECE_CHARS = 64 * 1024;
/** What is kept of the end of a log that is too long: there stands what came of the training. */
const END_CHARS = 64 * 1024;

const STREAMS = ['stdout', 'stderr'] as const;

const redactionOf = (secrets: readonly string[]) => ({
  stdout: new StreamRedaction(secrets),
  stderr: new StreamRedaction(secrets),
});

const logLane = plannedLane<LogPiece>({
  name: 'training logs',
  order: 71,
  plan: (items) => ({
    statements: [
      {
        text: `insert into training_logs (run_id, step_key, training_run, stream, text, at)
               select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])`,
        values: columns(items, (each) => [
          each.runId,
          each.stepKey,
          each.trainingRun,
          each.stream,
          each.text,
          timestamp(each.at),
        ]),
      },
    ],
  }),
});

/** What one training writes, on its way into the database: kept in pieces while it runs, within trainingLogBytesMax: its begin, and once it has ended its end. */
export class TrainingLog {
  readonly #commit: Committer;
  readonly #clock: Clock;
  readonly #of: Pick<LogPiece, 'runId' | 'stepKey' | 'trainingRun'>;
  /** How much is kept of the begin, and of the end. */
  readonly #beginMax: number;
  readonly #endMax: number;
  readonly #timer: NodeJS.Timeout;
  #waiting: LogPiece[] = [];
  #bytes = 0;
  #leftOut = 0;
  #lastStream: LogPiece['stream'] = 'stdout';
  #last = '';
  #flushed: Promise<unknown> = Promise.resolve();
  /** The end of it, for the error of a training that failed. */
  tail = '';
  #redaction = redactionOf([]);

  constructor(
    commit: Committer,
    clock: Clock,
    { trainingLogBytesMax }: Pick<Limits, 'trainingLogBytesMax'>,
    of: Pick<LogPiece, 'runId' | 'stepKey' | 'trainingRun'>,
  ) {
    this.#commit = commit;
    this.#clock = clock;
    this.#endMax = Math.min(END_CHARS, Math.floor(trainingLogBytesMax / 4));
    this.#beginMax = trainingLogBytesMax - this.#endMax;
    this.#of = of;
    this.#timer = setInterval(() => this.#flush(), FLUSH_MS).unref();
  }

  /** What may not be kept of what comes from now on: the secrets that the command was given. */
  withhold(secrets: readonly string[]): void {
    this.#redaction = redactionOf(secrets);
  }

  add(stream: LogPiece['stream'], text: string): void {
    this.#take(stream, this.#redaction[stream].add(text.replaceAll('\0', '�'))); // Postgres takes NUL in no text
  }

  /** Both streams have ended: what was held back, as it might have become a secret, is none. */
  endOfStreams(): void {
    for (const stream of STREAMS) this.#take(stream, this.#redaction[stream].end());
  }

  #take(stream: LogPiece['stream'], safe: string): void {
    if (safe === '') return;
    this.tail = (this.tail + safe).slice(-TAIL_CHARS);
    const clean = safe.slice(0, this.#beginMax - this.#bytes);
    this.#bytes += clean.length;
    if (clean !== '') this.#keep(stream, clean);
    if (clean.length === safe.length) return;
    if (this.#last === '')
      this.#keep(stream, '\n… only the end of what follows is kept (trainingLogBytesMax)\n');
    const whole = this.#last + safe.slice(clean.length);
    this.#last = whole.slice(-this.#endMax);
    this.#leftOut += whole.length - this.#last.length;
    this.#lastStream = stream;
  }

  #keep(stream: LogPiece['stream'], told: string): void {
    const last = this.#waiting.at(-1);
    if (last?.stream === stream && last.text.length < PIECE_CHARS)
      this.#waiting[this.#waiting.length - 1] = { ...last, text: last.text + told };
    else this.#waiting.push({ ...this.#of, stream, text: told, at: this.#clock.now() });
  }

  /** Resolves once all of it is durable. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    this.endOfStreams();
    if (this.#last !== '') {
      const told = this.#leftOut === 0 ? '' : `… ${this.#leftOut} characters are left out here\n`;
      this.#keep(this.#lastStream, told + this.#last);
      this.#last = '';
    }
    this.#flush();
    await this.#flushed;
  }

  #flush(): void {
    const pieces = this.#waiting;
    if (pieces.length === 0) return;
    this.#waiting = [];
    this.#flushed = this.#flushed
      .then(() => this.#commit.commit(pieces.map((piece) => write(logLane, piece))))
      .catch(() => {}); // a log that cannot be written fails no training
  }
}

/** Pieces of logs, by when they were written. */
export const trainingLogRecords = { table: 'training_logs', over: 'at < $1' };

/** What the trainings of a run wrote, from a place on. */
export async function readTrainingLog(
  db: Queryable,
  { runId, step, after, limit }: { runId: string; step?: string | undefined; after: number; limit: number },
): Promise<ToldLogPiece[]> {
  return db.query<ToldLogPiece>(
    `select run_id as "runId", seq, step_key as "stepKey", training_run as "trainingRun", stream, text, at from training_logs
     where run_id = $1 and seq > $2 and ($3::text is null or step_key = $3) order by seq limit $4`,
    [runId, after, step ?? null, limit],
  );
}
