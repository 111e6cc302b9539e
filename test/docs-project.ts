import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
/** A fenced block whose first line is a comment with the path of a file in a project: what a reader puts there. */
const FILE = /^```ya?ml\n# ((?:[a-z-]+\/)+[\w.-]+\.ya?ml)\n([\s\S]*?)^```$/gm;
/** An indented `aios run` with what comes of it: `# {"a":1}`, `# fails: TYPE`, `# refused: CODE`. */
const RUN = /^ {4}(?:npx )?aios (run .+?) {5}# (.+)$/gm;

interface ShownRun {
  readonly args: string[];
  readonly result: string;
}

/** What a document shows as the files of a project, and the runs with their results. */
export interface ShownProject {
  readonly files: { path: string; text: string }[];
  readonly runs: ShownRun[];
}

/** @example projectOf('docs/flows.md').files[0].path // 'workflows/greet.yaml' */
export function projectOf(document: string): ShownProject {
  const text = readFileSync(join(ROOT, document), 'utf8');
  return {
    files: [...text.matchAll(FILE)].map(([, path, body]) => ({ path: path!, text: body! })),
    runs: [...text.matchAll(RUN)].map(([, command, result]) => ({ args: words(command!), result: result! })),
  };
}

/** A command line as a shell takes it apart; of its quotes only single ones are shown. */
function words(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
}
