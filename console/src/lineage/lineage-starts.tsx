import { SimpleGrid, Stack, Text } from '@mantine/core';
import { IconGitFork } from '@tabler/icons-react';
import { useQueries } from '@tanstack/react-query';
import { namesQuery } from '../api/definitions.ts';
import { PageLink } from '../display/link.tsx';
import { Panel } from '../display/page.tsx';
import { Empty, Loading } from '../display/states.tsx';

/** Where most questions begin: the kind of the definitions, that of their nodes in the graph, what they are called. */
const STARTS = [
  { kind: 'model', node: 'model', title: 'Models' },
  { kind: 'decision', node: 'decision', title: 'Decisions' },
  { kind: 'contract', node: 'event-type', title: 'Types of events' },
  { kind: 'feature-service', node: 'feature-service', title: 'Feature services' },
] as const;
/** Of one kind; who looks for another one names it above. */
const SHOWN = 8;

/** Before a node is named: some that are there. */
export function LineageStarts() {
  const lists = useQueries({ queries: STARTS.map(({ kind }) => namesQuery(kind)) });
  const found = STARTS.map((start, at) => ({ ...start, names: lists[at]?.data?.items ?? [] }));
  const some = found.filter(({ names }) => names.length > 0);
  if (some.length === 0 && lists.some(({ isPending }) => isPending)) return <Loading lines={4} />;
  if (some.length === 0)
    return (
      <Panel>
        <Empty title="Nothing is defined yet" icon={<IconGitFork size={32} />}>
          Apply a project, and its events, features, models and decisions appear here.
        </Empty>
      </Panel>
    );
  return (
    <Panel title="Start from one of these">
      <Text size="sm" c="dimmed" mb="md">
        Or name a node above: <code className="mono">field:order.placed#total</code>,{' '}
        <code className="mono">feature:customer-orders.spend_30d</code>, <code className="mono">run:…</code>
      </Text>
      <SimpleGrid cols={{ base: 1, xs: 2, md: some.length }} spacing="lg">
        {some.map(({ node, title, names }) => (
          <Stack key={node} gap={6}>
            <Text size="xs" fw={600} c="dimmed">
              {title}
            </Text>
            {names.slice(0, SHOWN).map(({ name }) => (
              <PageLink
                key={name}
                to="/lineage"
                search={{ node: `${node}:${name}` }}
                size="sm"
                className="anywhere"
              >
                {name}
              </PageLink>
            ))}
          </Stack>
        ))}
      </SimpleGrid>
    </Panel>
  );
}
