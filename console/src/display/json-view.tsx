import { ActionIcon, Box, CopyButton, Text, Tooltip } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { Fragment, type ReactNode } from 'react';
import type { Json } from '../api/shapes.ts';

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(?:true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** More than this nobody reads; the whole is what the copy button gives. */
const SHOWN_CHARS = 40_000;

/** JSON with its names, texts and numbers told apart. */
export function JsonView({ value, label }: { value: Json | undefined; label: string }) {
  if (value === undefined)
    return (
      <Text size="sm" c="dimmed">
        Nothing was recorded.
      </Text>
    );
  const text = JSON.stringify(value, null, 2);
  return (
    <Box pos="relative">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard (WCAG 2.1.1) */}
      <section className="code" tabIndex={0} aria-label={label}>
        {coloured(text.slice(0, SHOWN_CHARS))}
        {text.length > SHOWN_CHARS && '\n… cut here; copy for the whole'}
      </section>
      <CopyButton value={text}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? 'Copied' : 'Copy JSON'}>
            <ActionIcon
              variant="default"
              size="sm"
              pos="absolute"
              top={8}
              right={8}
              onClick={copy}
              aria-label={copied ? 'Copied' : `Copy ${label} as JSON`}
            >
              {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
    </Box>
  );
}

function coloured(text: string): ReactNode[] {
  const parts: ReactNode[] = [];
  let at = 0;
  for (const match of text.matchAll(TOKEN)) {
    parts.push(text.slice(at, match.index));
    const [whole, string, colon] = match;
    const kind = string === undefined ? 'literal' : colon === undefined ? 'text' : 'key';
    parts.push(
      <Fragment key={match.index}>
        <span className={kind}>{string ?? whole}</span>
        {colon}
      </Fragment>,
    );
    at = match.index + whole.length;
  }
  return [...parts, text.slice(at)];
}
