import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Key } from '../api/keys.ts';
import { meQuery } from '../api/queries.ts';
import { Badge } from '../display/badge.tsx';
import { Time, useNow } from '../display/time.tsx';
import { stateOf } from './key-state.ts';

/** Keys, one a row; a row opens what is known of its key and what can be done with it. */
export function KeyTable({ keys, onOpen }: { keys: readonly Key[]; onOpen: (id: string) => void }) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Name</th>
          <th className="wide-only">Roles</th>
          <th>State</th>
          <th className="wide-only">Created</th>
          <th className="wide-only">Last used</th>
          <th className="end">Ends</th>
        </tr>
      </thead>
      <tbody>
        {keys.map((key) => (
          <KeyRow key={key.id} shown={key} onOpen={onOpen} />
        ))}
      </tbody>
    </table>
  );
}

function KeyRow({ shown, onOpen }: { shown: Key; onOpen: (id: string) => void }) {
  const now = useNow();
  const me = useQuery(meQuery);
  const { id, name, roles, groups, createdAt, lastUsedAt, expiresAt, revokedAt } = shown;
  const { text, tone } = stateOf(shown, now);
  const about = [...(id === me.data?.id ? ['yours'] : []), ...groups];
  return (
    <tr data-clickable="true" onClick={() => onOpen(id)}>
      <td className="anywhere">
        <button
          type="button"
          className="row-button"
          onClick={(event) => {
            event.stopPropagation();
            onOpen(id);
          }}
        >
          {name}
        </button>
        <Text size="xs" c="dimmed" hiddenFrom="sm">
          {roles.join(', ')}
        </Text>
        {about.length > 0 && (
          <Text size="xs" c="dimmed">
            {about.join(' · ')}
          </Text>
        )}
      </td>
      <td className="wide-only">{roles.join(', ')}</td>
      <td>
        <Badge tone={tone} dot>
          {text}
        </Badge>
      </td>
      <td className="wide-only">
        <Time at={createdAt} />
      </td>
      <td className="wide-only">{lastUsedAt ? <Time at={lastUsedAt} /> : 'never'}</td>
      <td className="end">{(revokedAt ?? expiresAt) ? <Time at={revokedAt ?? expiresAt} /> : 'never'}</td>
    </tr>
  );
}
