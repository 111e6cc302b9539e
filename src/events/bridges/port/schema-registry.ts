import type { Json } from '../../../kernel/json.ts';

/** A schema registry with Confluent's API, as the settings of a bridge name it. */
export interface RegistryAddress {
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  /** Sent as a bearer token. */
  readonly token?: string;
}

/** How values are written. */
export interface ValueSchema {
  /** `AVRO`, `JSON`, or what is not read here. */
  readonly type: string;
  /** Whole: with the types that it refers to. */
  readonly schema: Json;
}

export interface RegisteredSchema extends ValueSchema {
  readonly id: number;
}

/** What bridges ask of a schema registry. A schema never changes under its id. */
export interface SchemaRegistry {
  /**
   * Nothing where no schema has the id.
   *
   * @throws AiosError `bridges.registry_unreachable`, `bridges.registry_refused`, `connectors.egress_refused`; for what is no schema `definition.invalid`, `request.too_deep`,
   * `connectors.response_too_large`
   */
  byId(id: number): Promise<RegisteredSchema | undefined>;
  /** The newest version of a subject; nothing where there is no such subject. @throws AiosError as `byId` */
  latest(subject: string): Promise<RegisteredSchema | undefined>;
  /**
   * The id of a schema under a subject, where it is a version from then on if it was none.
   *
   * @throws AiosError `bridges.schema_refused` where it may not be one; of an answer that does not come as `byId`
   */
  register(subject: string, schema: ValueSchema): Promise<number>;
}
