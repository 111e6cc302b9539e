import type { Problem } from '../kernel/errors.ts';

/** Fields of requests whose option or argument has another name. */
const OTHERWISE: Readonly<Record<string, string>> = { version: 'of-version', groupBy: 'by', since: 'from' };

/** What a command takes, as its help writes it: `runs [id]`, `--status <status>`. */
export interface Usage {
  readonly name: string;
  readonly options?: readonly (readonly [flags: string, ...rest: (string | undefined)[]])[];
}

/**
 * A problem of a request as whoever typed the command reads it: the server tells fields, the command line takes options and arguments.
 *
 * @example
 * const usage = { name: 'costs', options: [['--by <group>', 'day or service']] };
 * namedByOptions(problem, usage).issues[0].path // '--by', where the server told '/groupBy'
 */
export function namedByOptions(problem: Problem, { name, options = [] }: Usage): Problem {
  if (problem.code !== 'request.invalid' || problem.issues === undefined) return problem;
  const flags = options.map(([text]) => text.match(/--[a-z-]+/)![0]);
  const named = (path: string) => {
    const field = /^\/([A-Za-z]+)$/.exec(path)?.[1];
    if (field === undefined) return path;
    const words = field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    for (const one of [words, OTHERWISE[field]]) {
      if (flags.includes(`--${one}`)) return `--${one}`;
      const argument = name.match(new RegExp(`[<[]${one}(?:\\.\\.\\.)?[>\\]]`));
      if (argument) return argument[0];
    }
    return path;
  };
  return { ...problem, issues: problem.issues.map((issue) => ({ ...issue, path: named(issue.path) })) };
}
