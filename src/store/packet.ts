import type { Socket } from 'node:net';
import pg from 'pg';
import type { Prepared } from './prepared.ts';

type Cells = readonly (string | null)[];
/** Makes a row of its columns. */
type ReadRow = (cells: Cells) => object;
/** How the rows of each statement are read, by its name: asked of the server once per connection. */
export type RowReaders = Map<string, ReadRow>;

/** What pg's own queries use of its connection. */
interface Wire {
  readonly stream: Socket;
  readonly parsedStatements: Record<string, string>;
  readonly submittedNamedStatements: Record<string, string>;
  parse(statement: { name: string; text: string }): void;
  bind(values: { statement: string; values: readonly unknown[] }): void;
  describe(portal: { type: 'P' }): void;
  execute(portal: object): void;
  sync(): void;
}

interface Field {
  readonly name: string;
  readonly dataTypeID: number;
}

const { prepareValue } = (pg as unknown as { utils: { prepareValue(value: unknown): unknown } }).utils;
// In a pipeline pg takes its own queries only.
const PgQuery = pg.Query as unknown as new (config: pg.QueryConfig) => object;
const NO_ROWS: ReadRow = () => ({});

/**
 * Statements as one transaction, in one message to the server and one back: what stands before one Sync is committed by it, or none of it is
 * (PostgreSQL, "Pipelining" in the chapter on the protocol), so that `begin` and `commit` need not be said.
 *
 * @example const packet = new Packet([prepared('select 1 as one', [])], readers, types); client.query(packet); await packet.done // [[{ one: 1 }]]
 */
export class Packet extends PgQuery {
  /** The rows of each statement, once all are committed. */
  readonly done: Promise<object[][]>;
  // pg notes under these what the server has parsed.
  name: string | undefined;
  text = '';
  readonly #statements: readonly (Prepared & { readonly bound: readonly unknown[] })[];
  readonly #readers: RowReaders;
  readonly #types: pg.CustomTypesConfig;
  readonly #answers: object[][];
  readonly #settle = Promise.withResolvers<object[][]>();
  /** The statement whose answer comes next. */
  #at = 0;
  #read = NO_ROWS;
  #fault: unknown;

  constructor(statements: readonly Prepared[], readers: RowReaders, types: pg.CustomTypesConfig) {
    super({ text: '' });
    // Before anything is sent: a value that cannot be must not leave half of it written.
    this.#statements = statements.map((one) => ({ ...one, bound: one.values.map(prepareValue) }));
    this.#readers = readers;
    this.#types = types;
    this.#answers = statements.map(() => []);
    this.done = this.#settle.promise;
    this.#turnTo(0);
  }

  submit(wire: Wire): null {
    wire.stream.cork();
    try {
      for (const { name, text, bound } of this.#statements) {
        if (wire.parsedStatements[name] === undefined && wire.submittedNamedStatements[name] === undefined) {
          wire.parse({ name, text });
          wire.submittedNamedStatements[name] = text;
        }
        wire.bind({ statement: name, values: bound });
        if (!this.#readers.has(name)) wire.describe({ type: 'P' });
        wire.execute({});
      }
      wire.sync();
    } finally {
      wire.stream.uncork();
    }
    return null;
  }

  handleRowDescription({ fields }: { fields: readonly Field[] }): void {
    this.#read = rowReader(fields, this.#types);
    this.#readers.set(this.name!, this.#read);
  }

  handleDataRow({ fields }: { fields: Cells }): void {
    try {
      this.#answers[this.#at]!.push(this.#read(fields));
    } catch (error) {
      this.#fault ??= error;
    }
  }

  handleCommandComplete(): void {
    if (!this.#readers.has(this.name!)) this.#readers.set(this.name!, NO_ROWS);
    this.#turnTo(this.#at + 1);
  }

  /** A statement failed, or the connection is gone. What stood behind it was left out by the server: it is to be parsed when it comes again. */
  handleError(error: unknown, wire: Wire): void {
    for (const { name } of this.#statements.slice(this.#at)) delete wire.submittedNamedStatements[name];
    this.#settle.reject(error);
  }

  handleReadyForQuery(): void {
    if (this.#fault) this.#settle.reject(this.#fault);
    else this.#settle.resolve(this.#answers);
  }

  #turnTo(at: number): void {
    this.#at = at;
    const statement = this.#statements[at];
    this.name = statement?.name;
    this.text = statement?.text ?? '';
    this.#read = (statement && this.#readers.get(statement.name)) ?? NO_ROWS;
  }
}

function rowReader(fields: readonly Field[], types: pg.CustomTypesConfig): ReadRow {
  const columns = fields.map(({ name, dataTypeID }) => ({
    name,
    parse: types.getTypeParser(dataTypeID, 'text') as (text: string) => unknown,
  }));
  return (cells) => {
    const row: Record<string, unknown> = {};
    for (let i = 0; i < columns.length; i++) {
      const { name, parse } = columns[i]!;
      const cell = cells[i]!;
      row[name] = cell === null ? null : parse(cell);
    }
    return row;
  };
}
