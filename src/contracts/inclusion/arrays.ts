import type { JsonObject } from '../../kernel/json.ts';
import type { Refused } from './finding.ts';
import type { Checker } from './inclusion.ts';
import { itemOf, prefixLength } from './members.ts';
import type { SchemaNode } from './node.ts';
import type { Say } from './scalars.ts';
import type { Shape } from './shape.ts';

/** Where arrays of a writer fall out of what a reader takes. */
export function compareArrays(checker: Checker, shape: Shape, reader: SchemaNode, say: Say): Refused[] {
  if (!shape.types.has('array')) return [];
  const schema = reader.schema as JsonObject;
  const { minItems, maxItems, uniqueItems } = schema;
  const longest = longestOf(checker, shape);
  if (typeof minItems === 'number' && shape.minItems < minItems)
    say('MIN_ITEMS_INCREASED', 'minItems', `arrays of less than ${minItems} items are refused`);
  if (typeof maxItems === 'number' && longest > maxItems)
    say('MAX_ITEMS_DECREASED', 'maxItems', `arrays of more than ${maxItems} items are refused`);
  if (uniqueItems === true && !shape.isUnique && longest > 1)
    say('UNIQUE_ITEMS_ADDED', 'uniqueItems', 'arrays with repeated items are refused');
  if (schema.contains !== undefined) compareContains(checker, shape, reader, longest, say);
  return [
    ...compareItems(checker, shape, reader, longest),
    ...compareUnevaluated(checker, shape, reader, longest, say),
  ];
}

/** An item that cannot be ends the array before it. */
function longestOf(checker: Checker, shape: Shape): number {
  const places = prefixLength(shape) + 1;
  for (let index = 0; index < places && index < shape.maxItems; index++)
    if (checker.isNever(itemOf(shape, index))) return index;
  return shape.maxItems;
}

function compareItems(checker: Checker, shape: Shape, reader: SchemaNode, longest: number): Refused[] {
  const { prefixItems, items } = reader.schema as JsonObject;
  const { document } = reader;
  const found: Refused[] = [];
  const prefix = Array.isArray(prefixItems) ? prefixItems.length : 0;
  for (let index = 0; index < prefix && index < longest; index++)
    found.push(...checker.member(itemOf(shape, index), document.child(reader, 'prefixItems', index)));
  if (items === undefined) return found;
  const rest = document.child(reader, 'items');
  const written = Math.max(prefix, prefixLength(shape));
  for (let index = prefix; index < written && index < longest; index++)
    found.push(...checker.member(itemOf(shape, index), rest));
  if (longest > written) found.push(...checker.member(itemOf(shape), rest));
  return found;
}

function compareContains(
  checker: Checker,
  shape: Shape,
  reader: SchemaNode,
  longest: number,
  say: Say,
): void {
  const schema = reader.schema as JsonObject;
  const contains = reader.document.child(reader, 'contains');
  const wanted = typeof schema.minContains === 'number' ? schema.minContains : 1;
  const most = typeof schema.maxContains === 'number' ? schema.maxContains : Number.POSITIVE_INFINITY;
  const promises = shape.nodes.flatMap((node) => {
    const {
      contains: part,
      minContains = 1,
      maxContains = Number.POSITIVE_INFINITY,
    } = node.schema as JsonObject;
    if (part === undefined) return [];
    return [
      {
        node: node.document.child(node, 'contains'),
        least: minContains as number,
        most: maxContains as number,
      },
    ];
  });
  const fits = (index?: number) => checker.member(itemOf(shape, index), contains, true).length === 0;
  const enough = () => {
    if (promises.some(({ node, least }) => least >= wanted && checker.covers(node, contains))) return true;
    const places = prefixLength(shape);
    let sure = 0;
    for (let index = 0; index < Math.min(places, shape.minItems); index++) if (fits(index)) sure++;
    if (shape.minItems > places && fits()) sure += shape.minItems - places;
    return sure >= wanted;
  };
  const few = () =>
    longest <= most ||
    promises.some((promise) => promise.most <= most && checker.covers(contains, promise.node));
  if (wanted > 0 && !enough())
    say(
      'CONTAINS_NARROWED',
      'contains',
      `arrays without ${wanted} such item${wanted > 1 ? 's' : ''} may be refused`,
    );
  if (Number.isFinite(most) && !few())
    say('CONTAINS_NARROWED', 'maxContains', `arrays with more than ${most} such items may be refused`);
}

/** What `prefixItems` and `items` of the same schema do not reach. Other parts may reach further: then it cannot be shown. */
function compareUnevaluated(
  checker: Checker,
  shape: Shape,
  reader: SchemaNode,
  longest: number,
  say: Say,
): Refused[] {
  const { unevaluatedItems, prefixItems, items } = reader.schema as JsonObject;
  if (unevaluatedItems === undefined || unevaluatedItems === true || items !== undefined) return [];
  const rest = reader.document.child(reader, 'unevaluatedItems');
  const first = Array.isArray(prefixItems) ? prefixItems.length : 0;
  const places = Math.max(first, prefixLength(shape));
  const conjunctions = [];
  for (let index = first; index < places && index < longest; index++) conjunctions.push(itemOf(shape, index));
  if (longest > places) conjunctions.push(itemOf(shape));
  if (conjunctions.some((item) => checker.member(item, rest).length > 0))
    say(
      'UNEVALUATED_ITEMS_NARROWED',
      'unevaluatedItems',
      'items that no other keyword looks at may be refused',
    );
  return [];
}
