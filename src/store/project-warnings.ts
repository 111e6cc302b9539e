import { closestName } from '../kernel/closest-name.ts';
import { locateIssue } from '../kernel/document.ts';
import type { Issue } from '../kernel/errors.ts';
import { isObject, type Json, type JsonObject } from '../kernel/json.ts';
import { unknownKeywords } from '../kernel/schema-keywords.ts';
import type { DefinitionKind, Mention } from './definition-kind.ts';
import type { Definitions } from './definitions.ts';
import type { PlannedDefinition } from './project.ts';

interface Surroundings {
  readonly kinds: readonly DefinitionKind[];
  readonly definitions: Definitions;
  /** Names of a kind that are known without a definition, as models are that were registered. */
  registered(kind: string): readonly string[];
}

/**
 * What a plan may do and most likely should not: definitions that name what is neither in the project nor applied (no fault, since it may still come; a run
 * that gets there before fails), and words of their schemas that are nearly keywords.
 *
 * @returns issues with file, line and the name that was meant
 * @example warningsOf(planned, { kinds, definitions, registered: () => [] })
 * // [{ file: 'workflows/returns.yaml', line: 32, path: '/do/0/…/model', message: 'there is no model “retrun-risk”: …', … }]
 */
export function warningsOf(
  planned: readonly PlannedDefinition[],
  { kinds, definitions, registered }: Surroundings,
): Issue[] {
  const here = new Map(planned.map(({ kind, name, body }) => [`${kind}/${name}`, body]));
  const namesOf = (kind: string) => [
    ...planned.filter((one) => one.kind === kind).map(({ name }) => name),
    ...definitions.list(kind).map(({ name }) => name),
    ...registered(kind),
  ];
  return planned.flatMap(({ kind, body, document }) => {
    const ofKind = kinds.find((one) => one.kind === kind);
    const unfound = (ofKind?.mentions?.(body) ?? []).flatMap((mention) => {
      const found =
        here.get(`${mention.kind}/${mention.name}`) ?? definitions.latest(mention.kind, mention.name)?.body;
      return warning(mention, found, namesOf) ?? [];
    });
    const slips = (ofKind?.schemas?.(body) ?? []).flatMap(([path, schema]) => slipsIn(schema, path));
    return [...unfound, ...slips].map((issue) => locateIssue(document, issue));
  });
}

/** What is near to no keyword is an annotation of its author's (`unit`, `connect.type`), which JSON Schema allows. */
function slipsIn(schema: Json, path: string): Issue[] {
  return unknownKeywords(schema, path)
    .filter(({ meant }) => meant !== undefined)
    .map((issue) => ({ ...issue, message: `${issue.message}, so nothing is held to it` }));
}

function warning(
  { kind, name, path, member }: Mention,
  found: JsonObject | undefined,
  namesOf: (kind: string) => readonly string[],
): Issue | undefined {
  if (member === undefined) {
    const names = found ? [name] : namesOf(kind);
    if (names.includes(name)) return undefined;
    return told(path, `there is no ${kind} “${name}” yet: define it before this is used`, name, names);
  }
  const [list, wanted] = member;
  const members = found?.[list];
  // What is not there at all is told where it is named; a list of another form is its own kind's business.
  if (!isObject(members) || Object.hasOwn(members, wanted)) return undefined;
  return told(path, `${kind} “${name}” has no “${wanted}” in its ${list}`, wanted, Object.keys(members));
}

function told(path: string, message: string, name: string, names: readonly string[]): Issue {
  const meant = closestName(name, names);
  return { path, message, ...(meant !== undefined && { meant: `“${meant}”` }) };
}
