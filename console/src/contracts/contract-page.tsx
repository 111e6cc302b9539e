import { Group, Select, SimpleGrid, Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { contractPath, diffQuery, type Release, releasesQuery, usesQuery } from '../api/contracts.ts';
import { Badge } from '../display/badge.tsx';
import { ChangeLink } from '../display/change-link.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { DefinitionLink } from '../display/definition-link.tsx';
import { FactTable } from '../display/fact-table.tsx';
import { JsonView } from '../display/json-view.tsx';
import { LineageLink } from '../display/lineage-link.tsx';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Who } from '../display/who.tsx';
import { ContractQuality } from './contract-quality.tsx';

const route = getRouteApi('/contracts/$name');

/** One contract: its versions, how they differ, what is measured, who answers for it and who uses it. */
export function ContractPage() {
  const { name } = route.useParams();
  const releases = useQuery(releasesQuery(name));
  const newest = releases.data?.items[0];
  return (
    <Page
      title={name}
      parent={
        <PageLink to="/contracts" size="sm">
          Contracts
        </PageLink>
      }
      marks={newest && <Badge tone="active">{newest.version}</Badge>}
      subtitle={newest?.body.description}
      actions={
        <>
          {!releases.error && <LineageLink node={`contract:${name}`} />}
          {!releases.error && <ChangeLink kind="contract" name={name} />}
          <CopyAs
            what="This contract"
            command={{
              method: 'GET',
              path: `${contractPath(name)}/releases/latest`,
              cli: `contracts show ${name}`,
            }}
          />
        </>
      }
    >
      <Answer query={releases}>
        {({ items }) => (
          <Stack gap="md">
            <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
              <Versions releases={items} />
              <Promises release={items[0]!} />
            </SimpleGrid>
            <ContractQuality name={name} />
            {items.length > 1 && <Differences name={name} releases={items} />}
            <Uses name={name} />
            <Panel title="Schema">
              <JsonView value={items[0]!.body.schema} label="Schema as JSON" />
            </Panel>
          </Stack>
        )}
      </Answer>
    </Page>
  );
}

function Versions({ releases }: { releases: readonly Release[] }) {
  return (
    <Panel title="Versions" padded={false}>
      <table className="rows">
        <thead>
          <tr>
            <th>Version</th>
            <th>By</th>
            <th className="end">Since</th>
          </tr>
        </thead>
        <tbody>
          {releases.map(({ version, createdBy, createdAt, deprecation }) => (
            <tr key={version}>
              <td>
                <Group gap="xs">
                  <span className="mono">{version}</span>
                  {deprecation && <Badge tone="attention">deprecated</Badge>}
                </Group>
                {deprecation && (
                  <Text size="xs" c="dimmed">
                    {deprecation.message}
                    {deprecation.sunsetAt && (
                      <>
                        {' '}
                        Until <Time at={deprecation.sunsetAt} />
                      </>
                    )}
                  </Text>
                )}
              </td>
              <td>
                <Who id={createdBy} />
              </td>
              <td className="end">
                <Time at={createdAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}

function Promises({ release: { body, compatibility } }: { release: Release }) {
  const team = (body.team ?? []).map(
    ({ username, name, role }) => `${name ?? username}${role ? ` (${role})` : ''}`,
  );
  const levels = (body.slaProperties ?? []).map(
    ({ property, value, unit }) => `${property} ${String(value)} ${unit ?? ''}`,
  );
  return (
    <Panel title="Promises" padded={false}>
      <FactTable
        facts={{
          Owner: body.owner,
          Team: team.join(', '),
          Compatibility: compatibility,
          'Open objects': body.contentModel === 'open' ? 'hold anything' : 'hold what is declared',
          'What does not fit': body.onInvalid === 'quarantine' ? 'goes into quarantine' : 'is refused',
          'Service levels': levels.join(', '),
        }}
      />
    </Panel>
  );
}

function Differences({ name, releases }: { name: string; releases: readonly Release[] }) {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const versions = releases.map(({ version }) => version);
  const { from = versions[1]!, to = versions[0]! } = search;
  const diff = useQuery(diffQuery(name, from, to));
  const choose = (side: 'from' | 'to') => (
    <Select
      aria-label={side === 'from' ? 'From version' : 'To version'}
      data={versions}
      value={side === 'from' ? from : to}
      onChange={(version) =>
        void navigate({ search: { from, to, ...(version ? { [side]: version } : {}) }, replace: true })
      }
      size="xs"
      w={110}
    />
  );
  return (
    <Panel
      title="Differences"
      padded={false}
      aside={
        <Group gap="xs" wrap="nowrap">
          {choose('from')}
          {choose('to')}
        </Group>
      }
    >
      <Answer query={diff}>
        {({ changes, findings }) => (
          <table className="rows">
            <thead>
              <tr>
                <th>Where</th>
                <th>Before</th>
                <th>After</th>
              </tr>
            </thead>
            <tbody>
              {changes.map(({ path, before, after }) => (
                <tr key={path}>
                  <td className="mono anywhere">{path}</td>
                  <td className="mono anywhere">{before === undefined ? '' : JSON.stringify(before)}</td>
                  <td className="mono anywhere">{after === undefined ? '' : JSON.stringify(after)}</td>
                </tr>
              ))}
              {findings.map(({ code, direction, path, message, hint }) => (
                <tr key={`${direction} ${code} ${path} ${message}`}>
                  <td className="mono anywhere">{path || '/'}</td>
                  <td colSpan={2}>
                    <Badge tone="bad">{code}</Badge>
                    <Text size="sm">{message}</Text>
                    <Text size="xs" c="dimmed">
                      {hint}
                    </Text>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Answer>
    </Panel>
  );
}

function Uses({ name }: { name: string }) {
  const uses = useQuery(usesQuery(name));
  return (
    <Panel title="Used by" padded={false}>
      <Answer query={uses}>
        {({ items }) =>
          items.length === 0 ? (
            <Text size="sm" c="dimmed" px="md" pb="md">
              No definition names this type.
            </Text>
          ) : (
            <table className="rows">
              <thead>
                <tr>
                  <th>Kind</th>
                  <th>Name</th>
                  <th>As</th>
                  <th className="wide-only">Where</th>
                </tr>
              </thead>
              <tbody>
                {items.map(({ kind, name: user, roles, paths }) => (
                  <tr key={`${kind}/${user}`}>
                    <td>{kind}</td>
                    <td>
                      <DefinitionLink kind={kind} name={user} />
                    </td>
                    <td>{roles.join(', ')}</td>
                    <td className="wide-only mono">{paths.join(', ')}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Answer>
    </Panel>
  );
}
