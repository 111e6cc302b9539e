import { Button, Group, SegmentedControl, Select, Stack, Text, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useState } from 'react';
import { type LineageDirection, type LineageGraph, lineageQuery } from '../api/lineage.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer } from '../display/states.tsx';
import { LineageChart } from './lineage-chart.tsx';
import { LineageStarts } from './lineage-starts.tsx';

const route = getRouteApi('/lineage');
const DIRECTIONS = [
  { value: 'both', label: 'Both' },
  { value: 'up', label: 'Made of' },
  { value: 'down', label: 'Used by' },
];
const DEPTHS = ['1', '2', '3', '5', '10'];

/** What a field, feature, model, decision or run is made of, and what is made of it. */
export function LineagePage() {
  const { node = '', direction = 'both', depth = '2' } = route.useSearch();
  const navigate = route.useNavigate();
  const way: LineageDirection = direction === 'up' || direction === 'down' ? direction : 'both';
  const edges = Number(depth) || 2;
  const graph = useQuery({ ...lineageQuery(node, way, edges), enabled: node !== '' });
  const show = (search: { node?: string; direction?: string; depth?: string }) =>
    void navigate({ search: { node, direction, depth, ...search } });
  return (
    <Page
      title="Lineage"
      subtitle={node === '' ? 'Where does a number come from, and what depends on it?' : node}
      actions={
        <>
          <PageLink to="/change" size="sm">
            Change a definition
          </PageLink>
          {node !== '' && (
            <CopyAs
              what="This question"
              command={{
                method: 'GET',
                path: `/api/v1/lineage?node=${encodeURIComponent(node)}`,
                cli: `lineage '${node}'`,
              }}
            />
          )}
        </>
      }
    >
      <Group align="flex-end">
        <Chooser key={node} node={node} onChoose={(chosen) => show({ node: chosen })} />
        <SegmentedControl
          aria-label="Direction"
          data={DIRECTIONS}
          value={way}
          onChange={(value) => show({ direction: value })}
        />
        <Select
          label="How far"
          w={90}
          data={DEPTHS}
          value={String(edges)}
          allowDeselect={false}
          onChange={(value) => value && show({ depth: value })}
        />
      </Group>
      {node === '' ? (
        <LineageStarts />
      ) : (
        <Answer query={graph}>
          {(found) => (
            <Stack gap="md">
              {/* A phone would show a corner of it, in letters that nobody reads: there, the list says the same. */}
              <div className="wide-only">
                <Panel title="Graph">
                  <LineageChart graph={found} onSelect={(chosen) => show({ node: chosen })} />
                </Panel>
              </div>
              {found.truncated && <Text size="sm">There is more: look less far.</Text>}
              <Nodes graph={found} />
            </Stack>
          )}
        </Answer>
      )}
    </Page>
  );
}

function Chooser({ node, onChoose }: { node: string; onChoose: (node: string) => void }) {
  const [text, setText] = useState(node);
  return (
    <form
      style={{ maxWidth: '100%' }}
      onSubmit={(event) => {
        event.preventDefault();
        onChoose(text.trim());
      }}
    >
      <Group align="flex-end" gap="xs" wrap="nowrap">
        <TextInput
          label="Node"
          w={340}
          miw={0}
          value={text}
          placeholder="Such as model:return-risk"
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <Button type="submit" variant="default" style={{ flex: 'none' }}>
          Show
        </Button>
      </Group>
    </form>
  );
}

function Nodes({ graph }: { graph: LineageGraph }) {
  return (
    <Panel title="Nodes" padded={false}>
      <table className="rows" aria-label="Nodes of the lineage">
        <thead>
          <tr>
            <th>Kind</th>
            <th>Name</th>
            <th className="wide-only">Type</th>
            <th className="wide-only end">Version</th>
            <th className="end">Away</th>
          </tr>
        </thead>
        <tbody>
          {graph.nodes.map(({ id, kind, name, type, version, depth }) => (
            <tr key={id}>
              <td>{kind}</td>
              <td className="anywhere">
                <PageLink to="/lineage" search={{ node: id }} size="sm">
                  {name}
                </PageLink>
              </td>
              <td className="wide-only">{type && type.length < 40 ? type : ''}</td>
              <td className="wide-only number end">{version}</td>
              <td className="number end">
                {depth === 0 ? '' : `${Math.abs(depth)} ${depth < 0 ? 'up' : 'down'}`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
