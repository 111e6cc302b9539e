import type { FlowGraph } from './graph.ts';

/** How the nodes of a kind are drawn; others are boxes. */
const SHAPES: { readonly [kind: string]: readonly [open: string, close: string] } = {
  start: ['([', '])'],
  end: ['([', '])'],
  switch: ['{', '}'],
  fork: ['{{', '}}'],
  effect: ['[[', ']]'],
  wait: ['(', ')'],
  listen: ['(', ')'],
};
const BOX = ['[', ']'] as const;

/**
 * A flow's graph as a Mermaid flowchart. Names come from people: all that could mean something to Mermaid or to HTML is written as its character number.
 *
 * @example mermaidOf(flowGraph(flow)) // 'flowchart TD\n  n0(["start"])\n  n1["score<br/>infer"]\n  n0 --> n1\n'
 */
export function mermaidOf({ nodes, edges }: FlowGraph): string {
  const ids = new Map(nodes.map(({ id }, index) => [id, `n${index}`]));
  const lines = nodes.map(({ id, label, kind, primitive }) => {
    const [open, close] = SHAPES[kind] ?? BOX;
    const below = kind === 'start' || kind === 'end' ? '' : `<br/>${escaped(primitive ?? kind)}`;
    return `${ids.get(id)}${open}"${escaped(label)}${below}"${close}`;
  });
  const arrows = edges.map(({ from, to, label }) => {
    const text = label === undefined ? '' : `|"${escaped(label)}"|`;
    return `${ids.get(from)} -->${text} ${ids.get(to)}`;
  });
  return `flowchart TD\n${[...lines, ...arrows].map((line) => `  ${line}\n`).join('')}`;
}

/** Letters, digits and spaces as they are; other characters by number, which Mermaid shows as the character. */
function escaped(text: string): string {
  return text.replace(/[^\p{L}\p{N} ]/gu, (char) => `#${char.codePointAt(0)};`);
}
