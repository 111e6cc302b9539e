import { NotSupported } from './check.ts';
import type { Target } from './target.ts';

/** One thing that a server must do, or may do when it says that it does. */
export interface Case {
  /** Stable, for reports: `rest.infer.nested-data`. */
  readonly id: string;
  /** A section of the specification, or an extension. */
  readonly section: string;
  readonly title: string;
  /** The extension that the server must list; without it the case is not supported. */
  readonly extension?: string;
  /** Throws what is wrong; `NotSupported` when the server may leave it out. */
  run(target: Target): Promise<void>;
}

export interface Outcome {
  readonly id: string;
  readonly section: string;
  readonly title: string;
  readonly outcome: 'pass' | 'fail' | 'not supported';
  readonly detail?: string;
}

/** Runs the cases one after the other: what one does to the server must not meet another. */
export async function runCases(
  target: Target,
  cases: readonly Case[],
  onOutcome: (outcome: Outcome) => void = () => {},
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { id, section, title, extension, run } of cases) {
    const told = { id, section, title };
    let outcome: Outcome;
    try {
      if (extension && !(await target.extensions()).includes(extension))
        throw new NotSupported(`the server does not list the extension ${extension}`);
      await run(target);
      outcome = { ...told, outcome: 'pass' };
    } catch (error) {
      const { message } = error as Error;
      outcome = {
        ...told,
        outcome: error instanceof NotSupported ? 'not supported' : 'fail',
        detail: message,
      };
    }
    outcomes.push(outcome);
    onOutcome(outcome);
  }
  return outcomes;
}
