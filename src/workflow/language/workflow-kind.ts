import { locateIssue, type SourceDocument } from '../../kernel/document.ts';
import { AiosError } from '../../kernel/errors.ts';
import type { JsonObject } from '../../kernel/json.ts';
import type { DefinitionKind } from '../../store/project.ts';
import type { Catalog } from '../catalog/primitive.ts';
import { compileFlow } from './compile.ts';
import { runJq } from './jq-evaluator.ts';

/**
 * The kind of definition `workflow`: files of the Open Workflow Specification in `workflows/`. Everything that the engine does not run is
 * refused here, with file, line and path, not when a run comes to it.
 *
 * @example planProject(files, [workflowKind(catalog)], definitions)
 */
export function workflowKind(catalog: Catalog): DefinitionKind {
  return {
    kind: 'workflow',
    folder: 'workflows',
    parse(document: SourceDocument) {
      try {
        const { name } = compileFlow(document.value, catalog, runJq);
        return { name, body: document.value satisfies JsonObject };
      } catch (error) {
        if (!(error instanceof AiosError)) throw error;
        throw new AiosError(error.code, {
          issues: error.issues.map((issue) => locateIssue(document, issue)),
        });
      }
    },
  };
}
