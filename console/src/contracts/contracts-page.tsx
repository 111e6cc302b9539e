import { Text } from '@mantine/core';
import { IconFileCertificate } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type Contract, contractsQuery, defaultCompatibilityQuery } from '../api/contracts.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { PageLink } from '../display/link.tsx';
import { LongList } from '../display/long-list.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty, LoadingPanel } from '../display/states.tsx';
import { Time } from '../display/time.tsx';

/** Every contract with its newest version. */
export function ContractsPage() {
  const contracts = useQuery(contractsQuery);
  return (
    <Page
      title="Contracts"
      subtitle="The schema of each event type, who owns it, and how it may change."
      actions={
        <CopyAs
          what="This list"
          command={{ method: 'GET', path: '/api/v1/contracts', cli: 'contracts list' }}
        />
      }
    >
      <Answer query={contracts} loading={<LoadingPanel />}>
        {({ items }) =>
          items.length === 0 ? (
            <Panel>
              <Empty title="No contract yet" icon={<IconFileCertificate size={32} />}>
                Put a schema into <code className="mono">contracts/</code> of a project and apply it.
              </Empty>
            </Panel>
          ) : (
            <LongList items={items} textOf={({ name }) => name}>
              {(shown) => <ContractTable contracts={shown} />}
            </LongList>
          )
        }
      </Answer>
    </Page>
  );
}

function ContractTable({ contracts }: { contracts: readonly Contract[] }) {
  const navigate = useNavigate();
  const byDefault = useQuery(defaultCompatibilityQuery);
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Type</th>
          <th>Version</th>
          <th>Owner</th>
          <th className="wide-only">Compatibility</th>
          <th className="wide-only end">Since</th>
        </tr>
      </thead>
      <tbody>
        {contracts.map(({ name, body, createdAt }) => (
          <tr
            key={name}
            data-clickable="true"
            onClick={() => void navigate({ to: '/contracts/$name', params: { name } })}
          >
            <td>
              <PageLink to="/contracts/$name" params={{ name }} fw={500} size="sm">
                {name}
              </PageLink>
              <Text size="xs" c="dimmed" className="wide-only">
                {body.description}
              </Text>
            </td>
            <td className="mono">{body.version}</td>
            <td>{body.owner}</td>
            <td className="wide-only">
              {body.compatibility ?? (
                <>
                  {byDefault.data?.compatibility}{' '}
                  <Text span size="xs" c="dimmed">
                    by default
                  </Text>
                </>
              )}
            </td>
            <td className="wide-only end">
              <Time at={createdAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
