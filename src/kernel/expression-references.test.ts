import { describe, expect, it } from 'vitest';
import { referencesOf, referencesOfMembers } from './expression-references.ts';

describe('the references of an expression', () => {
  it.each([
    ['data.total', ['data.total']],
    ['data.a.b > 1 && has(data.c)', ['data.a.b', 'data.c']],
    ['data.?note.orValue("none")', ['data.note']],
    ['data["a b"].c', ['data.a b.c']],
    ['data.lines[0].price', ['data.lines.price']],
    ['data.lines[at].price', ['at', 'data.lines.price']],
    ['data.lines.map(line, line.price * rate)', ['data.lines', 'data.lines.price', 'rate']],
    ['rows.filter(row, row.all(cell, cell.x > 0))', ['rows', 'rows.x']],
    ['{"risk": output.score, "at": [now]}', ['output.score', 'now']],
    ['spend > 0 ? returned / spend : 1.0', ['spend', 'returned']],
    ['string(a) + b.c.size()', ['a', 'b.c']],
    ['1 + 2', []],
    ['a +', []],
  ])('%s', (source, paths) => {
    expect(referencesOf(source).map((path) => path.join('.'))).toEqual(paths);
  });

  it('are told of each member of an object that is written out', () => {
    const members = referencesOfMembers('{"features": context.features, "risk": output.score * 2.0}');
    expect(members).toEqual({ features: [['context', 'features']], risk: [['output', 'score']] });
    expect(referencesOfMembers('output.score')).toBeUndefined();
  });
});
