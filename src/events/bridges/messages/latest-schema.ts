import { AiosError } from '../../../kernel/errors.ts';
import type { Limits } from '../../../kernel/limits.ts';
import type { RegisteredSchema, SchemaRegistry } from '../port/schema-registry.ts';

/** The newest version of a subject, asked for now and then. */
export class LatestSchema {
  readonly #registry: Pick<SchemaRegistry, 'latest'>;
  readonly #subject: string;
  readonly #limits: Pick<Limits, 'bridgeSchemaLatestMs'>;
  #known: { schema: RegisteredSchema; untilMs: number } | undefined;

  constructor(
    registry: Pick<SchemaRegistry, 'latest'>,
    subject: string,
    limits: Pick<Limits, 'bridgeSchemaLatestMs'>,
  ) {
    this.#registry = registry;
    this.#subject = subject;
    this.#limits = limits;
  }

  /** @throws AiosError `bridges.schema_missing` */
  async schema(): Promise<RegisteredSchema> {
    if (this.#known && performance.now() < this.#known.untilMs) return this.#known.schema;
    const schema = await this.#registry.latest(this.#subject);
    if (!schema)
      throw new AiosError('bridges.schema_missing', {
        detail: `The registry has no subject “${this.#subject}”.`,
      });
    this.#known = { schema, untilMs: performance.now() + this.#limits.bridgeSchemaLatestMs };
    return schema;
  }
}
