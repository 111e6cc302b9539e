import { Button, Stack, TextInput } from '@mantine/core';
import { IconSearch } from '@tabler/icons-react';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { type ReactNode, useState } from 'react';
import { count } from './format.ts';
import { Panel } from './page.tsx';
import { Empty } from './states.tsx';

/** A thousand rows at once take a browser half a second to draw, and nobody reads them. */
const ROWS = 100;
/** Fewer are seen at a glance. */
const SEARCHED_FROM = 20;

interface LongListProps<Item> {
  items: readonly Item[];
  /** What is searched, such as the name. */
  textOf: (item: Item) => string;
  /** The table of those that are shown. */
  children: (shown: readonly Item[]) => ReactNode;
}

/** A list that came whole and may be long: searched by name, and shown a part at a time. What is searched stands in the address, as `q`. */
export function LongList<Item>({ items, textOf, children }: LongListProps<Item>) {
  const { q = '' } = useSearch({ strict: false });
  const navigate = useNavigate();
  const [rows, setRows] = useState(ROWS);
  const wanted = q.trim().toLowerCase();
  const fitting = wanted === '' ? items : items.filter((item) => textOf(item).toLowerCase().includes(wanted));
  const search = (text: string) =>
    void navigate({
      to: '.',
      search: (before: object) => ({ ...before, q: text || undefined }),
      replace: true,
      resetScroll: false,
    });
  return (
    <Stack gap="md">
      {(items.length >= SEARCHED_FROM || q !== '') && (
        <TextInput
          aria-label="Find by name"
          placeholder="Find by name"
          leftSection={<IconSearch size={16} aria-hidden />}
          value={q}
          onChange={(event) => search(event.currentTarget.value)}
          w={{ base: '100%', xs: 320 }}
        />
      )}
      <Panel padded={false}>
        {fitting.length === 0 ? (
          <Empty title="None has that name">Of {count(items.length)} in this list.</Empty>
        ) : (
          children(fitting.slice(0, rows))
        )}
      </Panel>
      {fitting.length > rows && (
        <Button variant="default" mx="auto" onClick={() => setRows(rows + ROWS)}>
          Show more of {count(fitting.length)}
        </Button>
      )}
    </Stack>
  );
}
