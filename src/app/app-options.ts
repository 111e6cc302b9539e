import type { GrpcSettings } from '../api/grpc-settings.ts';
import type { FeatureFunctions } from '../features/computed-features.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Limits } from '../kernel/limits.ts';
import type { ModelFunctions } from '../serving/runtimes/function-runtime.ts';
import type { Primitive } from '../workflow/catalog/primitive.ts';

/**
 * What a process does of the work over one database: `all` of it; `worker` performs runs and consumes events, with no door but its probes and metrics; `api` is the
 * doors and leaves runs to the others.
 */
type Role = 'all' | 'worker' | 'api';

/** What a process is started with. */
export interface AppOptions {
  dataDir: string;
  role?: Role | undefined;
  /** Any Postgres of version 14 or later; embedded when left out. */
  databaseUrl?: string | undefined;
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Where gRPC is served; without it there is no such door. A worker has none. */
  grpc?: GrpcSettings | undefined;
  adminKey?: string | undefined;
  /** Where people reach it, `https://aios.example.org`, when a proxy stands before it: sessions are then bound to https and to this host. */
  publicUrl?: string | undefined;
  /** Origins of pages that may call the HTTP doors, `*` for all; none when left out. */
  corsOrigins?: readonly string[] | undefined;
  limits: Limits;
  consoleDir?: string | undefined;
  /** Business time; the wall clock when left out. In a replay it follows the events. */
  clock?: Clock | undefined;
  /** Functions of the program that embeds AIOS: flows call them as `call: name:version@default`. */
  functions?: readonly Primitive[] | undefined;
  /** Functions of that program which on-demand feature views call, by name; they must be pure. */
  featureFunctions?: FeatureFunctions | undefined;
  /** Functions of that program which are models (`runtime: function`), by name; every process over the database brings the same. */
  modelFunctions?: ModelFunctions | undefined;
  onProgress?: (stage: string) => void;
}
