import { locateIssue, type SourceDocument } from '../../kernel/document.ts';
import { AiosError } from '../../kernel/errors.ts';
import { isObject, type JsonObject } from '../../kernel/json.ts';
import type { DefinitionKind, ProjectFile } from '../../store/definition-kind.ts';
import type { Catalog } from '../catalog/primitive.ts';
import { compileFlow } from './compile.ts';
import { flowMentions } from './flow-mentions.ts';
import { runJq } from './jq-evaluator.ts';
import { type ReadResource, withResources } from './resources.ts';

/**
 * The kind of definition `workflow`: files of the Open Workflow Specification in `workflows/`. Everything that the engine does not run is
 * refused here, with file, line and path, not when a run comes to it.
 *
 * @param read what lies elsewhere; files of the project are read here
 * @example planProject(files, [workflowKind(catalog, read)], definitions)
 */
export function workflowKind(catalog: Catalog, read: ReadResource): DefinitionKind {
  return {
    kind: 'workflow',
    folder: 'workflows',
    async prepare(document, files) {
      try {
        const value = await withResources(document.value, (endpoint, secretsAt) =>
          isAddress(endpoint.uri) ? read(endpoint, secretsAt) : readFile(endpoint.uri, files),
        );
        return { ...document, value };
      } catch (error) {
        throw located(error, document);
      }
    },
    parse(document: SourceDocument) {
      try {
        const { name } = compileFlow(document.value, catalog, runJq);
        return { name, body: document.value satisfies JsonObject };
      } catch (error) {
        throw located(error, document);
      }
    },
    mentions: flowMentions,
    references(body) {
      const metadata = (body.document as JsonObject).metadata;
      const aios = isObject(metadata) ? metadata.aios : undefined;
      const queue = isObject(aios) && isObject(aios.queue) ? aios.queue.name : undefined;
      if (typeof queue !== 'string') return [];
      return [{ kind: 'run-queue', name: queue, path: '/document/metadata/aios/queue/name' }];
    },
  };
}

function located(error: unknown, document: SourceDocument): unknown {
  if (!(error instanceof AiosError)) return error;
  return new AiosError(error.code, { issues: error.issues.map((issue) => locateIssue(document, issue)) });
}

function isAddress(uri: string): boolean {
  return /^[a-z][a-z\d+.-]*:/i.test(uri) && !/^file:/i.test(uri);
}

/** `file://resources/pets.proto`, `file:///resources/pets.proto` and `resources/pets.proto` are one file: that of the project. */
async function readFile(uri: string, files: ReadonlyMap<string, ProjectFile>): Promise<string> {
  const path = uri.replace(/^file:\/*/i, '').replace(/^\.?\/+/, '');
  const file = files.get(path);
  if (file) return new TextDecoder().decode(file.bytes);
  const known = [...files.keys()].filter((name) => name.startsWith('resources/'));
  throw new AiosError('workflow.resource_unavailable', {
    detail: `The project has no file “${path}” (${known.join(', ') || 'none in resources/'}).`,
  });
}
