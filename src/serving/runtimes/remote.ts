import type { Dispatcher } from 'undici';
import type { Issue } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import { escapePointer } from '../../kernel/schema.ts';
import { joinRows, type Tensor, type TensorSpec } from '../tensors/tensor.ts';
import {
  type BatchAnswer,
  ModelRefused,
  type Replica,
  RunFailed,
  ServerBusy,
  ServerFailed,
} from './runtime.ts';

/** How the servers of others are reached. Whoever hands it in guards what leaves the process. */
export interface RemoteAccess {
  /** Of HTTP. */
  readonly dispatcher: Dispatcher;
  /** The addresses of a host that may be called. @throws AiosError when it may not be, or has none */
  addresses(hostname: string, port: number): Promise<readonly { address: string; family: number }[]>;
  /** The certificate authorities that are trusted, in PEM, for libraries that do not ask Node; null for what Node brings. */
  roots(): Buffer | null;
  /** A text with `${secrets.NAME}` filled in, for the server at `url`. @throws AiosError for one that is not set, or may not be sent there */
  fill(text: string, url: string): string;
}

/** What all endpoints have. */
interface Endpoint {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** How long a server may take for its answer when its endpoint says nothing; the model's own timeout ends a batch before, as a rule. */
const ANSWER_MS = 60_000;
const LATE = 0.8; // of the time there was: the server was told of it, and may have given up a little before
const TOKEN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"; // RFC 9110, section 5.6.2

/** JSON Schema of those members. */
export const ENDPOINT_MEMBERS: JsonObject = {
  headers: {
    type: 'object',
    propertyNames: { pattern: TOKEN },
    additionalProperties: { type: 'string' },
  },
  timeoutMs: { type: 'integer', minimum: 1, maximum: 600_000 },
};

/** Credentials stand in secrets: endpoints are kept, told and audited. */
export function checkHeaders({ headers }: JsonObject): Issue[] {
  return Object.entries((headers ?? {}) as Record<string, string>).flatMap(([name, value]): Issue[] => {
    const isCredential = /authorization|cookie|api-?key|token|secret/i.test(name);
    if (!isCredential || value.includes('${secrets.')) return [];
    const message = `a credential is not written down here: use \${secrets.NAME}`;
    return [{ path: `/headers/${escapePointer(name)}`, message }];
  });
}

/** The headers of an endpoint, with their secrets, as they are at the start of a replica. */
export function filledHeaders({ url, headers = {} }: Endpoint, access: RemoteAccess): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), access.fill(value, url)]),
  );
}

export function answerMs({ timeoutMs = ANSWER_MS }: Endpoint, withinMs: number | undefined): number {
  return withinMs === undefined ? timeoutMs : Math.max(1, Math.ceil(Math.min(timeoutMs, withinMs)));
}

/**
 * A model on another server. One replica is one call under way: several of them are several calls at once. It ends when the server is lost, so
 * that starting it again, which asks for the model and runs it, is what finds the server back.
 */
export abstract class RemoteReplica implements Replica {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly passesDeadline = true;
  readonly #ended = new AbortController();

  constructor({ inputs, outputs }: Pick<Replica, 'inputs' | 'outputs'>) {
    this.inputs = inputs;
    this.outputs = outputs;
    this.#ended.signal.addEventListener('abort', () => this.close(), { once: true });
  }

  async run(requests: readonly (readonly Tensor[])[], withinMs?: number): Promise<BatchAnswer> {
    const { signal } = this.#ended;
    if (signal.aborted) throw signal.reason as Error;
    const started = performance.now();
    try {
      const answered = await this.exchange(joinRows(requests), withinMs, signal);
      return { outputs: inOrder(this.outputs, answered), computeUs: (performance.now() - started) * 1000 };
    } catch (error) {
      if (signal.aborted) throw signal.reason as Error;
      // Callers who wait shorter than the server takes are no reason to start again.
      const isLate = withinMs !== undefined && performance.now() - started > LATE * withinMs;
      if (!(isLate || error instanceof RunFailed || error instanceof ServerBusy)) this.#end(error as Error);
      throw error;
    }
  }

  kill(): void {
    this.#end(new Error('the replica was ended'));
  }

  onEnd(listener: (reason: Error) => void): void {
    const { signal } = this.#ended;
    const tell = () => listener(signal.reason as Error);
    if (signal.aborted) tell();
    else signal.addEventListener('abort', tell, { once: true });
  }

  /**
   * One batch, there and back. Rejects with `RunFailed` when the server refuses the values, with `ServerFailed` when it fails or its answer is none, with
   * `ServerBusy` when it has no room, with any other error when it is lost.
   *
   * @param signal ends the call
   */
  protected abstract exchange(
    inputs: readonly Tensor[],
    withinMs: number | undefined,
    signal: AbortSignal,
  ): Promise<readonly Tensor[]>;

  /** Lets go of what the replica holds. */
  protected close(): void {}

  #end(reason: Error): void {
    if (!this.#ended.signal.aborted) this.#ended.abort(reason);
  }
}

/** A server may answer in any order and with more than was declared. */
function inOrder(specs: readonly TensorSpec[], answered: readonly Tensor[]): readonly Tensor[] {
  return specs.map(({ name, datatype }, position) => {
    const at = answered[position];
    const output = at?.name === name ? at : answered.find((tensor) => tensor.name === name);
    if (output?.datatype === datatype) return output;
    const found = output ? `is ${output.datatype} there` : 'is not in the answer';
    throw new ServerFailed(`output “${name}” (${datatype}) ${found}`);
  });
}

/** What is sent. @throws RunFailed where these values cannot be mapped or written: that tells nothing of the server */
export function written<T>(write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw new RunFailed((error as Error).message, { cause: error });
  }
}

/** What was answered. @throws ServerFailed where it cannot be read or mapped: the values were taken, so that their sender can mend nothing */
export function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof ServerFailed
      ? error
      : new ServerFailed((error as Error).message, { cause: error });
  }
}

/** The tensors that the server tells, or else those that were declared. @throws ModelRefused when there are neither */
export function tensorsOf(
  told: Pick<Replica, 'inputs' | 'outputs'> | undefined,
  declared: { readonly inputs?: readonly TensorSpec[]; readonly outputs?: readonly TensorSpec[] } = {},
): Pick<Replica, 'inputs' | 'outputs'> {
  if (told) return told;
  const { inputs = [], outputs = [] } = declared;
  if (inputs.length > 0 && outputs.length > 0) return { inputs, outputs };
  throw new ModelRefused(
    'the server does not tell the tensors of the model: declare inputs and outputs in its signature',
  );
}
