import type { FeatureFunctions } from '../../features/computed-features.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Limits } from '../../kernel/limits.ts';
import type { ModelFunctions } from '../../serving/runtimes/function-runtime.ts';
import type { Changes } from '../../store/changes.ts';
import type { Database } from '../../store/database.ts';
import type { GroupCommit } from '../../store/group-commit.ts';
import type { Troubles } from '../../telemetry/troubles.ts';
import type { Primitive } from '../../workflow/catalog/primitive.ts';

/** What every station stands on. */
export interface Ground {
  readonly db: Database;
  readonly commit: GroupCommit;
  readonly clock: Clock;
  readonly limits: Limits;
  /** What fails again and again, for the log. */
  readonly troubles: Troubles;
  readonly dataDir: string;
  /** What other processes, and other parts of this one, changed. */
  readonly changes: Changes;
  /** False in a process that leaves runs to others over the same database. */
  readonly takesRuns: boolean;
  /** Of the program that embeds AIOS. */
  readonly functions: readonly Primitive[];
  /** What on-demand views may call, of the program that embeds AIOS. */
  readonly featureFunctions: FeatureFunctions;
  /** Models of that program. */
  readonly modelFunctions: ModelFunctions;
  /** Called in the reverse order at the end. */
  readonly closers: (() => Promise<unknown>)[];
}
