import { Checkbox, Stack } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { Panel } from '../display/page.tsx';

interface ChoosableTableProps<Item extends { id: string }> {
  items: readonly Item[];
  /** What a row is called where it is chosen. */
  nameOf: (item: Item) => string;
  headings: ReactNode;
  cells: (item: Item) => ReactNode;
  /** What is done with the chosen rows. */
  actions: (ids: string[], clear: () => void) => ReactNode;
}

/** A table of which rows are chosen for what the buttons above it do; a row that has gone is not chosen any more. */
export function ChoosableTable<Item extends { id: string }>(props: ChoosableTableProps<Item>) {
  const { items, nameOf, headings, cells, actions } = props;
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const ids = items.filter(({ id }) => chosen.has(id)).map(({ id }) => id);
  const isAll = ids.length === items.length;
  const toggle = (id: string) =>
    setChosen((before) => {
      const next = new Set(before);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  return (
    <Stack gap="md">
      {actions(ids, () => setChosen(new Set()))}
      <Panel padded={false}>
        <table className="rows">
          <thead>
            <tr>
              <th className="pick">
                <Checkbox
                  aria-label="Choose all"
                  checked={isAll}
                  indeterminate={ids.length > 0 && !isAll}
                  onChange={() => setChosen(isAll ? new Set() : new Set(items.map(({ id }) => id)))}
                />
              </th>
              {headings}
            </tr>
          </thead>
          <tbody>
            {items.map((item) => (
              <tr key={item.id} aria-selected={chosen.has(item.id)}>
                <td className="pick">
                  <Checkbox
                    aria-label={`Choose ${nameOf(item)}`}
                    checked={chosen.has(item.id)}
                    onChange={() => toggle(item.id)}
                  />
                </td>
                {cells(item)}
              </tr>
            ))}
          </tbody>
        </table>
      </Panel>
    </Stack>
  );
}
