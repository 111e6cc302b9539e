import type { Problem } from '../kernel/errors.ts';
import type { Quota } from '../kernel/quota.ts';
import { HEADER_LENGTH, readInference, writeInference } from '../serving/protocol/infer-http.ts';
import { STICKY_HEADER } from '../serving/protocol/infer-parameters.ts';
import { withError } from '../serving/protocol/open-inference.ts';
import { PlainInferences } from '../serving/protocol/plain-infer.ts';
import type { Serving } from '../serving/traffic/serving.ts';
import { answerCoding } from './body-encoding.ts';
import { GuardedDoor, type GuardedDoorOptions } from './guarded-door.ts';
import type { Reply } from './lean/door.ts';
import type { RequestHead } from './lean/head.ts';
import { quotaHeaders } from './quota-headers.ts';
import type { Caller } from './routes.ts';

/** A version, or the model's champion when there is none. */
interface InferAddress {
  readonly name: string;
  readonly ref: number | undefined;
}

const ADDRESS = /^\/v2\/models\/([a-z0-9][a-z0-9._-]{0,99})(?:\/versions\/([1-9]\d{0,8}))?\/infer$/;
const JSON_HEADERS = ['content-type', 'application/json; charset=utf-8'] as const;

/** Answers inferences without a web framework: the same permission, limits, problems and traces as their route. */
export class InferDoor extends GuardedDoor<InferAddress> {
  readonly prefix = '/v2/models/';
  protected readonly permission = 'serving.infer';
  readonly #serving: Pick<Serving, 'infer'>;
  readonly #plain = new PlainInferences();

  constructor(serving: Pick<Serving, 'infer'>, options: GuardedDoorOptions) {
    super(options);
    this.#serving = serving;
  }

  protected addressOf({ url, headers }: RequestHead): InferAddress | undefined {
    const match = ADDRESS.exec(url);
    if (!match) return undefined;
    if (headers[HEADER_LENGTH] === '0') return undefined; // its shape follows from the model
    if (answerCoding(headers['accept-encoding'])) return undefined; // compressing takes threads, and its turn
    return { name: match[1]!, ref: match[2] === undefined ? undefined : Number(match[2]) };
  }

  protected routeOf({ ref }: InferAddress): string {
    return ref === undefined ? '/v2/models/:name/infer' : '/v2/models/:name/versions/:version/infer';
  }

  protected serve(
    caller: Caller,
    { name, ref }: InferAddress,
    { headers }: RequestHead,
    body: Buffer,
    reply: Reply,
  ): void {
    const headerLength = headers[HEADER_LENGTH] as string | undefined;
    const plain = headerLength === undefined ? this.#plain.read(body) : undefined;
    const request = plain ?? readInference(body, headerLength);
    const { inputs, timeoutMs: deadlineMs, priority } = request;
    const stickyKey = request.stickyKey ?? (headers[STICKY_HEADER] as string | undefined);
    const { signal } = reply;
    let quota: Quota | undefined;
    const onQuota = (left: Quota) => {
      quota = left;
    };
    const call = { model: name, ref, inputs, deadlineMs, priority, stickyKey, caller, signal, onQuota };
    this.#serving.infer(call).then(
      (answered) => {
        try {
          const answer = writeInference(request, answered);
          const of = (headers: readonly string[]) =>
            quota ? [...headers, ...quotaHeaders([quota])] : headers;
          if (answer.headerBytes === undefined) reply.send(200, of(JSON_HEADERS), answer.json);
          else reply.send(200, of(binaryHeaders(answer.headerBytes)), answer.bytes);
        } catch (error) {
          this.refuse(error, reply, quota);
        }
      },
      (error: unknown) => this.refuse(error, reply, quota),
    );
  }

  protected problemText(problem: Problem): string {
    return JSON.stringify(withError(problem));
  }
}

function binaryHeaders(jsonBytes: number): string[] {
  return ['content-type', 'application/octet-stream', HEADER_LENGTH, String(jsonBytes)];
}
