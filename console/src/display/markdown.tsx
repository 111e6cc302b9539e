import { Box, Table, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { type Block, readMarkdown, type Span } from './markdown.ts';

/** Cards and instructions as their authors wrote them; nothing in them becomes markup of ours. */
export function Markdown({ text }: { text: string }) {
  return (
    <Box style={{ overflowWrap: 'anywhere' }}>
      {readMarkdown(text).map((block) => (
        <BlockView key={JSON.stringify(block)} block={block} />
      ))}
    </Box>
  );
}

function BlockView({ block }: { block: Block }): ReactNode {
  switch (block.kind) {
    case 'heading':
      return (
        <Title order={Math.min(6, block.level + 2) as 3} mt="md" mb={6} size="h5">
          {spans(block.spans)}
        </Title>
      );
    case 'list':
      return (
        <ListView start={block.start}>
          {block.items.map((item) => (
            <li key={textOf(item)} style={{ marginBlock: 4, fontSize: 14 }}>
              {spans(item)}
            </li>
          ))}
        </ListView>
      );
    case 'code':
      return <pre className="code">{block.text}</pre>;
    case 'table':
      return (
        <Table.ScrollContainer minWidth={260} my="sm">
          <Table withRowBorders fz="sm" verticalSpacing={5}>
            <Table.Thead>
              <Table.Tr>
                {block.header.map((cell) => (
                  <Table.Th key={textOf(cell)}>{spans(cell)}</Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {block.rows.map((row) => (
                <Table.Tr key={row.map(textOf).join(' | ')}>
                  {row.map((cell, column) => (
                    <Table.Td key={textOf(block.header[column] ?? [])}>{spans(cell)}</Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      );
    default:
      return (
        <Text size="sm" my={8}>
          {spans(block.spans)}
        </Text>
      );
  }
}

function ListView({ start, children }: { start: number | undefined; children: ReactNode }) {
  const style = { paddingInlineStart: 22, marginBlock: 8 };
  if (start === undefined) return <ul style={style}>{children}</ul>;
  return (
    <ol start={start} style={style}>
      {children}
    </ol>
  );
}

function spans(parts: readonly Span[]): ReactNode[] {
  return parts.map((part, index) => {
    const key = `${index} ${part.text}`;
    if (part.kind === 'code')
      return (
        <code key={key} className="mono">
          {part.text}
        </code>
      );
    return part.kind === 'strong' ? (
      <strong key={key}>{part.text}</strong>
    ) : (
      <span key={key}>{part.text}</span>
    );
  });
}

function textOf(parts: readonly Span[]): string {
  return parts.map(({ text }) => text).join('');
}
