import type { Pending } from './request.ts';
import type { ServingOptions } from './serving-options.ts';
import type { ServingStatistics } from './statistics.ts';

/** What answers the requests of one version: `ModelHost` with replicas, or `ConcurrentHost` for models that ask others. */
export interface Host {
  readonly label: string;
  /** The most rows of one request. */
  readonly rowsMax: number;
  readonly lastUsedAtMs: number;
  readonly waiting: number;
  readonly ready: boolean;
  /** Its requests have to say on whose behalf it asks others. */
  readonly asksOthers?: boolean;
  /** Why no answer of it may be kept. */
  readonly changesBy?: string | undefined;
  /** @throws AiosError `serving.unavailable`, `serving.memory_exceeded` */
  start(): Promise<void>;
  /** Takes changed options; false, and nothing changed, when they need other replicas than there are. */
  configure(options: ServingOptions): boolean;
  /** @throws AiosError `request.overloaded`, `serving.unavailable` */
  submit(request: Pending): void;
  statistics(): ServingStatistics;
  /** Lets what was accepted end, then closes. */
  drain(): Promise<void>;
  close(): void;
}
