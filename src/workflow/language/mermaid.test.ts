import { describe, expect, it } from 'vitest';
import type { FlowGraph } from './graph.ts';
import { mermaidOf } from './mermaid.ts';

const NODE =
  /^ {2}n\d+(\(\["|\["|\{"|\{\{"|\[\["|\(")(?:[\p{L}\p{N} ]|#\d+;|<br\/>)*("\]\)|"\]|"\}|"\}\}|"\]\]|"\))$/u;
const EDGE = /^ {2}n\d+ -->(\|"(?:[\p{L}\p{N} ]|#\d+;)*"\|)? n\d+$/u;

describe('a flow as a Mermaid flowchart', () => {
  it('draws nodes by their kind and edges with their labels', () => {
    const graph: FlowGraph = {
      nodes: [
        { id: 'start', label: 'order.placed', kind: 'start' },
        { id: 'score', label: 'score', kind: 'pure', primitive: 'infer' },
        { id: 'route', label: 'route', kind: 'switch' },
        { id: 'end', label: 'end', kind: 'end' },
      ],
      edges: [
        { from: 'start', to: 'score' },
        { from: 'score', to: 'route' },
        { from: 'route', to: 'end', label: 'clear' },
      ],
    };
    expect(mermaidOf(graph)).toBe(
      [
        'flowchart TD',
        '  n0(["order#46;placed"])',
        '  n1["score<br/>infer"]',
        '  n2{"route<br/>switch"}',
        '  n3(["end"])',
        '  n0 --> n1',
        '  n1 --> n2',
        '  n2 -->|"clear"| n3',
        '',
      ].join('\n'),
    );
  });

  it.each([
    '"quoted"',
    'a]b',
    'end',
    '<script>alert(1)</script>',
    'x --> y',
    '%% comment',
    'line\nbreak',
    '#35;',
    'Rückgabe prüfen',
    'click n0 "javascript:alert(1)"',
    '`**markdown**`',
    '😀',
  ])('leaves no character of %j a meaning', (label) => {
    const lines = mermaidOf({
      nodes: [
        { id: label, label, kind: 'effect' },
        { id: 'end', label, kind: 'end' },
      ],
      edges: [{ from: label, to: 'end', label }],
    }).split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[1]).toMatch(NODE);
    expect(lines[2]).toMatch(NODE);
    expect(lines[3]).toMatch(EDGE);
  });
});
