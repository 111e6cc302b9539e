import { AiosError } from '../../kernel/errors.ts';
import { joinRows, sliceRows, type Tensor } from '../tensors/tensor.ts';
import { type Pending, PendingRequest, type Share } from './request.ts';

/** What the parts of a request need of its host. */
interface PartsHost {
  readonly label: string;
  /** Puts a part behind what waits. */
  enqueue(part: Pending): void;
  fail(request: Pending, error: AiosError): void;
  answered(queuedMs: number, totalMs: number): void;
}

/**
 * Runs a request of more rows than a batch may have in parts; it answers as if it had run in one piece. Each part waits in the queue like a
 * request of its own, and the next is put behind what has come meanwhile only when one has answered: so many rows of one caller keep no
 * other waiting for more than a part. Inputs are views; nothing is copied before the answers are joined.
 *
 * @param rowsMax rows of a part
 * @param atOnce parts that run or wait at the same time: as many as there are replicas; 0: the model's rows cannot be told apart
 * @example runInParts(request, options.batchMax, 1, host)
 */
export function runInParts(whole: Pending, rowsMax: number, atOnce: number, host: PartsHost): void {
  if (atOnce > 0) new RowParts(whole, rowsMax, host).begin(atOnce);
  else
    host.fail(whole, rowsFault(host.label, whole.rows, rowsMax, 'what a row gives depends on the others.'));
}

function rowsFault(label: string, rows: number, rowsMax: number, reason: string): AiosError {
  return new AiosError('serving.tensor_shape', {
    detail: `${label}: ${reason} So a request holds at most ${rowsMax} rows; this one has ${rows}.`,
    extensions: { limitName: 'batchMax', limit: rowsMax },
  });
}

class RowParts {
  readonly #whole: Pending;
  readonly #rowsMax: number;
  readonly #host: PartsHost;
  readonly #begunAtMs = performance.now();
  readonly #answers: (readonly Tensor[])[];
  readonly #waiting = new Set<PartRequest>();
  #next = 0;
  #answered = 0;
  #computeUs = 0;
  #costMicroUsd = 0;

  constructor(whole: Pending, rowsMax: number, host: PartsHost) {
    this.#whole = whole;
    this.#rowsMax = rowsMax;
    this.#host = host;
    this.#answers = new Array(Math.ceil(whole.rows / rowsMax));
  }

  begin(atOnce: number): void {
    for (let i = 0; i < atOnce; i++) this.#enqueueNext();
  }

  #enqueueNext(): void {
    if (this.#next === this.#answers.length) return;
    const index = this.#next++;
    const firstRow = index * this.#rowsMax;
    const { inputs, rows, deadlineAtMs, signal, level } = this.#whole;
    const count = Math.min(this.#rowsMax, rows - firstRow);
    const part = new PartRequest(
      this,
      index,
      inputs.map((input) => sliceRows(input, firstRow, count)),
      count,
      deadlineAtMs,
      signal,
      level + 1,
    );
    this.#waiting.add(part);
    this.#host.enqueue(part);
  }

  partAnswered(part: PartRequest, outputs: readonly Tensor[], firstRow: number, share: Share): void {
    this.#waiting.delete(part);
    if (this.#whole.settled) return;
    const fault = faultOf(outputs, share.batchRows, this.#answers[0]);
    if (fault) {
      this.partFailed(part, rowsFault(this.#host.label, this.#whole.rows, this.#rowsMax, fault));
      return;
    }
    this.#answers[part.index] =
      share.batchRows === part.rows
        ? outputs
        : outputs.map((output) => sliceRows(output, firstRow, part.rows));
    this.#computeUs += share.computeUs;
    this.#costMicroUsd += share.costMicroUsd;
    if (++this.#answered < this.#answers.length) {
      this.#enqueueNext();
      return;
    }
    const { rows, enqueuedAtMs } = this.#whole;
    this.#whole.complete(joinRows(this.#answers), 0, {
      computeUs: this.#computeUs,
      batchRows: rows,
      costMicroUsd: this.#costMicroUsd,
    });
    this.#host.answered(this.#begunAtMs - enqueuedAtMs, performance.now() - enqueuedAtMs);
  }

  partFailed(part: PartRequest, error: AiosError): void {
    this.#waiting.delete(part);
    for (const other of this.#waiting) other.settled = true; // the queue passes over them
    this.#waiting.clear();
    this.#host.fail(this.#whole, error);
  }
}

/** Why answers cannot be joined along their rows. */
function faultOf(
  outputs: readonly Tensor[],
  rows: number,
  first: readonly Tensor[] | undefined,
): string | undefined {
  for (const [position, { name, shape }] of outputs.entries()) {
    if (shape[0] !== rows) return `the output “${name}” does not have a row for each row of the input.`;
    const other = first?.[position]?.shape ?? shape;
    if (shape.length !== other.length || shape.some((size, axis) => axis > 0 && size !== other[axis]))
      return `the output “${name}” is of another size for other rows.`;
  }
  return undefined;
}

class PartRequest extends PendingRequest<undefined> {
  readonly index: number;
  readonly #owner: RowParts;

  constructor(
    owner: RowParts,
    index: number,
    inputs: readonly Tensor[],
    rows: number,
    deadlineAtMs: number,
    signal: AbortSignal | undefined,
    priority: number,
  ) {
    const nowMs = performance.now();
    super(inputs, rows, nowMs, deadlineAtMs - nowMs, signal, priority);
    this.#owner = owner;
    this.index = index;
    this.part = index + 1;
  }

  override complete(outputs: readonly Tensor[], firstRow: number, share: Share): void {
    if (this.settled) return;
    this.settled = true;
    this.#owner.partAnswered(this, outputs, firstRow, share);
  }

  override fail(error: AiosError): void {
    if (this.settled) return;
    this.settled = true;
    this.#owner.partFailed(this, error);
  }

  protected override read(): undefined {
    return undefined;
  }
}
