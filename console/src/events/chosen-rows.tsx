import { Checkbox } from '@mantine/core';
import { useState } from 'react';

/** Which rows of a table are chosen; a row that has gone is not chosen any more. */
export function useChosenRows(items: readonly { id: string }[]) {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const ids = items.filter(({ id }) => chosen.has(id)).map(({ id }) => id);
  const toggle = (id: string) =>
    setChosen((before) => {
      const next = new Set(before);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  const isAll = ids.length === items.length;
  const chooseAll = (
    <Checkbox
      aria-label="Choose all"
      checked={isAll}
      indeterminate={ids.length > 0 && !isAll}
      onChange={() => setChosen(isAll ? new Set() : new Set(items.map(({ id }) => id)))}
    />
  );
  return { chosen, ids, toggle, chooseAll, clear: () => setChosen(new Set()) };
}
