import { locateIssue, type SourceDocument } from '../../kernel/document.ts';
import { AiosError } from '../../kernel/errors.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import type { ProjectFile } from '../../store/definition-kind.ts';
import { functionIssues } from './function-modules.ts';

/**
 * An on-demand view with the code that it names (`module`), loaded once: what it does not export is found when the view is planned, not when a model waits
 * for it. The code is kept with the view, so that a version of it computes the same for ever.
 *
 * @throws AiosError `definition.reference` when there is no such file, `definition.invalid` when the code does not do what the view says
 */
export async function withCode(
  document: SourceDocument,
  files: ReadonlyMap<string, ProjectFile>,
): Promise<SourceDocument> {
  const { module, code: written } = document.value;
  if (module === undefined && written === undefined) return document;
  if (module !== undefined && written !== undefined) {
    throw at(
      document,
      'definition.invalid',
      '/code',
      'the code is a “module” beside the document or “code” in it, one of the two',
    );
  }
  const code = module === undefined ? written : textOf(document, String(module), files);
  const prepared = { ...document, value: { ...document.value, code } as JsonObject };
  if (typeof code !== 'string' || !isObject(document.value.features)) return prepared; // told when it is parsed
  const file = String(module ?? `${String(document.value.name)}.ts`);
  const issues = await functionIssues({ code, file }, functionsOf(document.value.features));
  if (issues.length === 0) return prepared;
  const place = (path: string) => (path === '/code' && module !== undefined ? '/module' : path);
  throw new AiosError('definition.invalid', {
    issues: issues.map((issue) => locateIssue(document, { ...issue, path: place(issue.path) })),
  });
}

/** The functions that features call, by the feature: those without an expression. */
export function functionsOf(features: JsonObject): Record<string, string> {
  const called = Object.entries(features).flatMap(([feature, spec]): [string, string][] =>
    isObject(spec) && spec.expression === undefined ? [[feature, String(spec.function ?? feature)]] : [],
  );
  return Object.fromEntries(called);
}

function textOf(document: SourceDocument, module: string, files: ReadonlyMap<string, ProjectFile>): string {
  const path = `${document.file.slice(0, document.file.lastIndexOf('/') + 1)}${module.replace(/^\.\//, '')}`;
  const file = files.get(path);
  if (file) return new TextDecoder().decode(file.bytes);
  throw at(
    document,
    'definition.reference',
    '/module',
    `there is no file ${path} in the project: send it with this document, or put its text into “code”`,
    module,
  );
}

function at(
  document: SourceDocument,
  code: 'definition.invalid' | 'definition.reference',
  path: string,
  message: string,
  found?: string,
): AiosError {
  return new AiosError(code, {
    issues: [locateIssue(document, { path, message, ...(found === undefined ? {} : { found }) })],
  });
}
