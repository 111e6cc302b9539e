import type { ServerWritableStream } from '@grpc/grpc-js';
import { AiosError } from '../kernel/errors.ts';

interface HealthRequest {
  readonly service: string;
}
interface HealthAnswer {
  readonly status: number;
}
type Watch = ServerWritableStream<HealthRequest, HealthAnswer>;

const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;
const LOOK_MS = 500; // as often as other processes' changes are looked for

/**
 * The health of the server (grpc.health.v1): `''` and the names of its services are one and the same. Who watches is told of each change;
 * nobody looks while nobody watches.
 */
export class GrpcHealth {
  readonly #isReady: () => Promise<boolean>;
  readonly #services: ReadonlySet<string>;
  readonly #watchesMax: number;
  /** Each with what it was told last. */
  readonly #watches = new Map<Watch, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(isReady: () => Promise<boolean>, services: readonly string[], watchesMax: number) {
    this.#isReady = isReady;
    this.#services = new Set(['', ...services]);
    this.#watchesMax = watchesMax;
  }

  /** @throws AiosError `request.not_found` for a service that is not here */
  async check({ service }: HealthRequest): Promise<HealthAnswer> {
    if (!this.#services.has(service))
      throw new AiosError('request.not_found', { detail: `There is no service “${service}” here.` });
    return { status: await this.#status() };
  }

  /** Each service with its health. */
  async list(): Promise<{ statuses: Record<string, HealthAnswer> }> {
    const status = await this.#status();
    return { statuses: Object.fromEntries([...this.#services].map((service) => [service, { status }])) };
  }

  /** @throws AiosError `request.overloaded` when as many watch as may */
  async watch(call: Watch): Promise<void> {
    if (this.#watches.size >= this.#watchesMax) {
      throw new AiosError('request.overloaded', {
        detail: `${this.#watchesMax} streams are open.`,
        extensions: { limitName: 'streamsMax', limit: this.#watchesMax },
      });
    }
    this.#watches.set(call, 0);
    call.on('cancelled', () => this.#leave(call));
    call.on('error', () => this.#leave(call));
    await this.#look();
    if (this.#watches.size > 0) this.#timer ??= setInterval(() => void this.#look(), LOOK_MS).unref();
  }

  /** Tells who watches that the server goes. */
  close(): void {
    clearInterval(this.#timer);
    for (const call of this.#watches.keys()) {
      this.#tell(call, NOT_SERVING);
      call.end();
    }
    this.#watches.clear();
  }

  async #look(): Promise<void> {
    const status = await this.#status();
    for (const call of this.#watches.keys()) this.#tell(call, status);
  }

  #tell(call: Watch, ofServer: number): void {
    // Its stream stays open: the service may come (health-checking.md).
    const status = this.#services.has(call.request.service) ? ofServer : SERVICE_UNKNOWN;
    if (this.#watches.get(call) === status) return;
    this.#watches.set(call, status);
    call.write({ status });
  }

  async #status(): Promise<number> {
    return (await this.#isReady().catch(() => false)) ? SERVING : NOT_SERVING;
  }

  #leave(call: Watch): void {
    this.#watches.delete(call);
    if (this.#watches.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
