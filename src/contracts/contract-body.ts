import type { Json, JsonObject } from '../kernel/json.ts';
import type { CompatibilityMode, ContentModel } from './compatibility.ts';
import type { QualityRule } from './quality-rules.ts';
import type { ServiceLevel, TeamMember } from './service-levels.ts';

/** A data contract, in the words of the Open Data Contract Standard where it has them. */
export interface ContractBody {
  /** The event type that it covers. */
  name: string;
  /** Semantic version: the author's promise, held to `compatibility`. */
  version: string;
  owner: string;
  description?: string;
  compatibility?: CompatibilityMode;
  /** What an object is taken to hold besides its declared properties when versions are compared. */
  contentModel?: ContentModel;
  /** JSON Schema 2020-12 of the event's `data`. With `avro` it follows from that. */
  schema: JsonObject;
  /** Avro schema of the event's `data`, as JSON: how it is written where bytes are written, and what its versions are compared by. */
  avro?: Json;
  /** What of the schema was taken from versions of other contracts when it was registered: the schema itself is whole. */
  references?: SchemaReference[];
  quality?: QualityRule[];
  /** What is done with an event that does not fit the schema: `refuse` when left out. */
  onInvalid?: 'refuse' | 'quarantine';
  /** Who answers for it, besides the owner. */
  team?: TeamMember[];
  slaProperties?: ServiceLevel[];
}

/** A version of another contract, and what a schema calls it. */
export interface SchemaReference {
  name: string;
  contract: string;
  version: string;
}
