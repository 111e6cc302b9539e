import { isObject, type Json, type JsonObject } from './json.ts';

/** Something that data passes through, named `kind:name`: `feature:customer-orders.spend_30d`, `field:order.placed#total`. */
export interface LineageNode {
  readonly id: string;
  /** Of a column: its type, as its owner writes it. A change of it breaks who reads it. */
  readonly type?: string;
  /** What its values come of. A change of it changes values, and breaks nobody. */
  readonly meaning?: Json;
  /** Of what is computed elsewhere or shown: what people read. */
  readonly title?: string;
}

/** Data passes from the one to the other. */
export interface LineageEdge {
  readonly from: string;
  readonly to: string;
}

/** What a definition brings to the graph. The first node is the definition itself. */
export interface DefinitionLineage {
  readonly nodes: readonly LineageNode[];
  readonly edges: readonly LineageEdge[];
}

/** The body of another definition, as it is or as a plan will have it: of its newest version, or of one that somebody is held to. */
export type FindBody = (kind: string, name: string, version?: number) => JsonObject | undefined;

/** Reads what a definition brings; the module that owns the kind has it. */
export type LineageReader = (body: JsonObject, find: FindBody) => DefinitionLineage;

/** @example nodeId('field', 'order.placed', 'lines.price') // 'field:order.placed#lines.price' */
export function nodeId(kind: string, name: string, column?: string): string {
  return column === undefined ? `${kind}:${name}` : `${kind}:${name}#${column}`;
}

/**
 * The node that a field of an event is: what an expression calls `data.lines.price` (or `item.price`, of the elements of `data.lines`). Attributes of the
 * envelope (`subject`, `time`) are fields of their own name, with a dot before it.
 *
 * @example fieldId('order.placed', ['data', 'total']) // 'field:order.placed#total'
 */
export function fieldId(eventType: string, path: readonly string[]): string {
  const [first, ...rest] = path;
  return nodeId('field', eventType, first === 'data' ? rest.join('.') || '*' : `.${first}`);
}

/** Every text of a JSON value, the deepest first come first told. */
export function* textsIn(value: Json | undefined): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const member of value) yield* textsIn(member);
  else if (isObject(value)) for (const member of Object.values(value)) yield* textsIn(member);
}

/** Nodes and edges as they are found, each once. */
export class LineageBuilder {
  readonly #nodes = new Map<string, LineageNode>();
  readonly #edges = new Map<string, LineageEdge>();

  /** @returns the id, to go on with */
  node(node: LineageNode): string {
    this.#nodes.set(node.id, node);
    return node.id;
  }

  /** An edge to itself is none. */
  edge(from: string, to: string): void {
    if (from !== to) this.#edges.set(`${from}\0${to}`, { from, to });
  }

  done(): DefinitionLineage {
    return { nodes: [...this.#nodes.values()], edges: [...this.#edges.values()] };
  }
}
