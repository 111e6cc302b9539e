/** The part of CommonMark (0.31) that cards and instructions use: headings, paragraphs, lists, tables, code, strong. Everything else stays text. */
export interface Span {
  kind: 'text' | 'strong' | 'code';
  text: string;
}

export type Block =
  | { kind: 'heading'; level: number; spans: Span[] }
  | { kind: 'paragraph'; spans: Span[] }
  /** `start`: the number of its first item, where items are numbered. */
  | { kind: 'list'; items: Span[][]; start?: number }
  | { kind: 'code'; text: string }
  | { kind: 'table'; header: Span[][]; rows: Span[][][] };

const ITEM = /^\s*(?:[-*+]|\d+[.)])\s+/;
const RULE = /^\s*\|?[\s:|-]+\|[\s:|-]*$/;

/**
 * @example readMarkdown('# A\n\n- **b** `c`') // [{ kind: 'heading', level: 1, … }, { kind: 'list', items: [[…]] }]
 */
export function readMarkdown(text: string): Block[] {
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  const blocks: Block[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at]!;
    if (line.trim() === '') at++;
    else if (line.startsWith('```')) at = readCode(lines, at, blocks);
    else if (/^#{1,6}\s/.test(line)) {
      const level = line.indexOf(' ');
      blocks.push({ kind: 'heading', level, spans: readSpans(line.slice(level + 1)) });
      at++;
    } else if (line.includes('|') && RULE.test(lines[at + 1] ?? '')) at = readTable(lines, at, blocks);
    else if (ITEM.test(line)) at = readList(lines, at, blocks);
    else {
      const end = endOf(lines, at);
      blocks.push({ kind: 'paragraph', spans: readSpans(lines.slice(at, end).join(' ')) });
      at = end;
    }
  }
  return blocks;
}

/** The first line after `from` that begins something else. */
function endOf(lines: readonly string[], from: number): number {
  let end = from + 1;
  while (
    end < lines.length &&
    lines[end]!.trim() !== '' &&
    !/^(#{1,6}\s|```)/.test(lines[end]!) &&
    !ITEM.test(lines[end]!)
  )
    end++;
  return end;
}

function readCode(lines: readonly string[], at: number, blocks: Block[]): number {
  let end = at + 1;
  while (end < lines.length && !lines[end]!.startsWith('```')) end++;
  blocks.push({ kind: 'code', text: lines.slice(at + 1, end).join('\n') });
  return end + 1;
}

function readList(lines: readonly string[], from: number, blocks: Block[]): number {
  const items: Span[][] = [];
  let at = from;
  while (at < lines.length && ITEM.test(lines[at]!)) {
    const end = endOf(lines, at);
    const text = lines
      .slice(at, end)
      .map((line) => line.trim())
      .join(' ');
    items.push(readSpans(text.replace(ITEM, '')));
    at = end;
  }
  const start = /^\s*(\d{1,9})[.)]/.exec(lines[from]!)?.[1];
  blocks.push(start === undefined ? { kind: 'list', items } : { kind: 'list', items, start: Number(start) });
  return at;
}

function readTable(lines: readonly string[], from: number, blocks: Block[]): number {
  const cells = (line: string) =>
    line
      .trim()
      .replace(/^\||\|$/g, '')
      .split('|')
      .map((cell) => readSpans(cell.trim()));
  let end = from + 2;
  while (end < lines.length && lines[end]!.includes('|')) end++;
  blocks.push({ kind: 'table', header: cells(lines[from]!), rows: lines.slice(from + 2, end).map(cells) });
  return end;
}

function readSpans(text: string): Span[] {
  return text
    .split(/(`[^`]+`|\*\*[^*]+\*\*)/)
    .filter((part) => part !== '')
    .map((part) => {
      if (part.startsWith('`') && part.length > 1) return { kind: 'code', text: part.slice(1, -1) };
      if (part.startsWith('**') && part.length > 3) return { kind: 'strong', text: part.slice(2, -2) };
      return { kind: 'text', text: part };
    });
}
