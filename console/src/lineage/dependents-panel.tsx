import { Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { lineageQuery } from '../api/lineage.ts';
import { PageLink } from '../display/link.tsx';
import { Panel } from '../display/page.tsx';
import { Answer } from '../display/states.tsx';

/** So far from a definition its fields, features and flows are found, and what takes these. */
const EDGES = 5;

/** What depends on a definition as it is, the nearest first. */
export function DependentsPanel({ kind, name }: { kind: string; name: string }) {
  const graph = useQuery(lineageQuery(`${kind}:${name}`, 'down', EDGES));
  return (
    <Panel title="What depends on this" padded={false}>
      <Answer query={graph}>
        {({ nodes, truncated }) => {
          const others = nodes.filter(({ depth }) => depth > 0).sort((a, b) => a.depth - b.depth);
          if (others.length === 0) return <Text p="md">Nothing that is known.</Text>;
          return (
            <>
              <table className="rows" aria-label="What depends on this">
                <thead>
                  <tr>
                    <th>Kind</th>
                    <th>Name</th>
                    <th className="end">Away</th>
                  </tr>
                </thead>
                <tbody>
                  {others.map(({ id, kind: kindOf, name: nameOf, depth }) => (
                    <tr key={id}>
                      <td>{kindOf}</td>
                      <td className="anywhere">
                        <PageLink to="/lineage" search={{ node: id }} size="sm">
                          {nameOf}
                        </PageLink>
                      </td>
                      <td className="number end">{depth}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {truncated && (
                <Text size="sm" p="md">
                  There is more.
                </Text>
              )}
            </>
          );
        }}
      </Answer>
    </Panel>
  );
}
