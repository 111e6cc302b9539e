import type { EvaluateTable } from './audit-sources.ts';
import type { TestFlows } from './flow-test-report.ts';
import type { GlobalOptions } from './session.ts';

/** What a command does with its options and arguments; its result is the exit code. */
export type Action = (
  options: GlobalOptions & { [option: string]: unknown },
  args: string[],
  host: Host,
) => Promise<number>;

/** What the process hands in besides `start`: it alone may know the engine and the decision tables. */
export interface Host {
  readonly testFlows: TestFlows;
  readonly evaluateTable: EvaluateTable;
}

export interface CommandRow {
  /** The command that it stands under, by its first word. */
  under?: string;
  name: string;
  description: string;
  /** As somebody would type it; what is in capitals is theirs to fill in. */
  example: string;
  options?: readonly [flags: string, description: string, fallback?: string][];
  /** Loaded when the command runs: `aios --help` must not load a database driver. */
  load(): Promise<Action>;
}
