import type { SourceDocument } from '../kernel/document.ts';
import type { Issue } from '../kernel/errors.ts';
import type { Json, JsonObject } from '../kernel/json.ts';

/** A file of a project folder; paths are relative to it, with slashes. */
export interface ProjectFile {
  path: string;
  bytes: Uint8Array;
}

/** What a module tells about a kind of definition that it owns. */
export interface DefinitionKind {
  /** The noun, as in `GET /api/v1/contracts`: `contract`. */
  readonly kind: string;
  /** The folder of a project that holds them, `contracts`; `''` for the project file itself. */
  readonly folder: string;
  /**
   * Reads what the document names from elsewhere, before it is parsed; answers with the document that holds it.
   * @throws AiosError whose issues carry paths
   */
  prepare?(document: SourceDocument, files: ReadonlyMap<string, ProjectFile>): Promise<SourceDocument>;
  /**
   * Holds a document to the kind's schema and compiles what it contains.
   * @throws AiosError `definition.invalid` (or the module's own code) whose issues carry paths
   */
  parse(
    document: SourceDocument,
    files: ReadonlyMap<string, ProjectFile>,
  ): { name: string; body: JsonObject };
  /** Names in the body that must exist, here or already applied. */
  references?(body: JsonObject): readonly Reference[];
  /** Names in the body that are looked for when it is used: one that is not there is a warning (`warningsOf`). */
  mentions?(body: JsonObject): readonly Mention[];
  /** The JSON Schemas in the body, by JSON Pointer: a word in one that is nearly a keyword is a warning (`warningsOf`). */
  schemas?(body: JsonObject): readonly (readonly [path: string, schema: Json])[];
  /** Whether a new body may follow the newest version; throws when it may not (compatibility of contracts). */
  checkChange?(name: string, body: JsonObject): Promise<void> | void;
  /** Whether a body fits what it refers to; asked once all its references are there. @throws AiosError with issues, where `definition.invalid` is not the code */
  checkFit?(body: JsonObject, surroundings: Surroundings): readonly Issue[];
  /** Whether what is applied takes up each change of what it refers to: then that change must fit it, too, or come with a change of it. */
  readonly followsReferences?: boolean;
}

/** What a definition will stand among once the project is applied. */
export interface Surroundings {
  /** The newest body, or that of a version that a definition is held to; undefined when there is none. */
  find(kind: string, name: string, version?: number): JsonObject | undefined;
  /** As `find`, among what is applied already. */
  findApplied(kind: string, name: string, version?: number): JsonObject | undefined;
  /** The version that will be in force; undefined when there is none of that name. */
  versionOf(kind: string, name: string): number | undefined;
  /** The newest version that is applied already. */
  readonly previous: JsonObject | undefined;
}

/** A name that is looked for only when the definition is used. */
export interface Mention {
  readonly kind: string;
  readonly name: string;
  /** JSON Pointer of the place that names it. */
  readonly path: string;
  /** What its body must have: `['operations', 'refund']`. */
  readonly member?: readonly [list: string, name: string];
}

interface Reference {
  kind: string;
  name: string;
  /** JSON Pointer of the place that names it. */
  path: string;
}
