import { nodeId } from '../../kernel/definition-lineage.ts';

/** What a dataset or a job of the specification is named by. */
export interface Name {
  readonly namespace: string;
  readonly name: string;
}

/** How other systems name what is ours. */
export interface Naming {
  /** Of our jobs and datasets: `aios`. */
  readonly namespace: string;
  /** The database that the tables of batch views lie in, as others name it: `postgres://db.example.org:5432/shop`. */
  readonly databases: readonly string[];
}

/** Kinds of nodes that are jobs; the others hold data. */
const JOBS = new Set(['workflow', 'job']);
/** The kind of a column of a node, where it is not `column`. */
const COLUMNS: Readonly<Record<string, string>> = {
  'event-type': 'field',
  'feature-view': 'feature',
  'feature-service': 'service-feature',
};

/**
 * The node of a dataset: ours where it bears our namespace or is a table of our database, one of another system otherwise.
 *
 * @example datasetNode({ namespace: 'aios', name: 'event-type:order' }, naming) // 'event-type:order'
 * @example datasetNode({ namespace: 's3://lake', name: 'orders' }, naming) // 'external-dataset:s3://lake/orders'
 */
export function datasetNode({ namespace, name }: Name, { namespace: own, databases }: Naming): string {
  if (namespace === own && /^[a-z-]+:./.test(name)) return name;
  for (const database of databases) {
    const at = database.lastIndexOf('/');
    const prefix = `${database.slice(at + 1)}.`;
    if (namespace === database.slice(0, at) && name.startsWith(prefix))
      return nodeId('table', name.slice(prefix.length));
  }
  return nodeId('external-dataset', `${namespace}/${name}`);
}

export function jobNode({ namespace, name }: Name, naming: Naming): string {
  if (namespace === naming.namespace && /^[a-z-]+:./.test(name)) return name;
  return nodeId('job', `${namespace}/${name}`);
}

/** The node of a column of a dataset's node. */
export function columnNode(dataset: string, field: string): string {
  const at = dataset.indexOf(':');
  const [kind, name] = [dataset.slice(0, at), dataset.slice(at + 1)];
  const column = COLUMNS[kind];
  if (column === 'field') return nodeId(column, name, field);
  return column === undefined ? nodeId('column', name, field) : nodeId(column, `${name}.${field}`);
}

/** A column as the specification names it, by the nodes of ours; undefined for what is no column. */
export function columnOf(id: string, naming: Naming): (Name & { field: string }) | undefined {
  const at = id.indexOf(':');
  const [kind, name] = [id.slice(0, at), id.slice(at + 1)];
  if (kind === 'field' || kind === 'column') {
    const hash = name.lastIndexOf('#');
    const holder = kind === 'field' ? 'event-type' : 'table';
    return hash < 0
      ? undefined
      : { ...nameOf(nodeId(holder, name.slice(0, hash)), naming), field: name.slice(hash + 1) };
  }
  const holder = Object.keys(COLUMNS).find((each) => COLUMNS[each] === kind);
  const dot = name.lastIndexOf('.');
  return holder === undefined || dot < 0
    ? undefined
    : { ...nameOf(nodeId(holder, name.slice(0, dot)), naming), field: name.slice(dot + 1) };
}

/** A node of ours as the specification names it: a table by the first name of its database. */
export function nameOf(id: string, { namespace, databases: [database] }: Naming): Name {
  if (database === undefined || !id.startsWith('table:')) return { namespace, name: id };
  const at = database.lastIndexOf('/');
  return { namespace: database.slice(0, at), name: `${database.slice(at + 1)}.${id.slice('table:'.length)}` };
}

/** Whether a node does something, rather than hold data. */
export function isJob(id: string): boolean {
  return JOBS.has(id.slice(0, id.indexOf(':')));
}
