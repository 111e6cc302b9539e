import { Stack, Text } from '@mantine/core';
import { IconFlask } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { type Experiment, experimentsQuery } from '../api/experiments.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { PageLink } from '../display/link.tsx';
import { MoreButton } from '../display/more-button.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';

/** Every experiment, the newest first. */
export function ExperimentsPage() {
  const experiments = useInfiniteQuery(experimentsQuery);
  return (
    <Page
      title="Experiments"
      subtitle="Training runs side by side: parameters, metrics, and the model version that each produced."
      actions={
        <CopyAs
          what="This list"
          command={{ method: 'GET', path: '/api/v1/experiments', cli: 'experiments list' }}
        />
      }
    >
      <Stack gap="md">
        <Panel padded={false}>
          <Answer query={experiments}>
            {({ pages }) => <ExperimentTable experiments={pages.flatMap(({ items }) => items)} />}
          </Answer>
        </Panel>
        <MoreButton query={experiments}>More experiments</MoreButton>
      </Stack>
    </Page>
  );
}

function ExperimentTable({ experiments }: { experiments: readonly Experiment[] }) {
  const navigate = useNavigate();
  if (experiments.length === 0)
    return (
      <Empty title="No experiment yet" icon={<IconFlask size={32} />}>
        Point <code className="mono">MLFLOW_TRACKING_URI</code> of a training script to this address, or let a
        flow <code className="mono">call: train:1@default</code>.
      </Empty>
    );
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Experiment</th>
          <th className="wide-only end">Made</th>
          <th className="end">Changed</th>
        </tr>
      </thead>
      <tbody>
        {experiments.map(({ id, name, tags, createdAt, updatedAt }) => (
          <tr
            key={id}
            data-clickable="true"
            onClick={() => void navigate({ to: '/experiments/$name', params: { name } })}
          >
            <td style={{ overflowWrap: 'anywhere' }}>
              <PageLink to="/experiments/$name" params={{ name }} fw={500} size="sm">
                {name}
              </PageLink>
              {tags['mlflow.note.content'] && (
                <Text size="xs" c="dimmed" className="wide-only" lineClamp={2}>
                  {tags['mlflow.note.content']}
                </Text>
              )}
            </td>
            <td className="wide-only end">
              <Time at={createdAt} />
            </td>
            <td className="end">
              <Time at={updatedAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
