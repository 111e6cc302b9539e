import { Button, Group, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { act } from '../api/request.ts';
import {
  type Webhook,
  type WebhookDelivery,
  webhookDeliveriesQuery,
  webhooksQuery,
} from '../api/webhooks.ts';
import { StatusBadge } from '../display/badge.tsx';
import { ConfirmedButton } from '../display/confirmed-button.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { Answer, Empty, ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { WebhookSecret } from './webhook-form.tsx';

interface Props {
  webhook: Webhook;
  mayManage: boolean;
}

/** What of a webhook's deliveries failed, and what can be done with it. */
export function WebhookDetails({ webhook, mayManage }: Props) {
  const deliveries = useQuery({ ...webhookDeliveriesQuery(webhook.id), refetchInterval: 5_000 });
  return (
    <Stack gap="md">
      {mayManage && <Actions webhook={webhook} />}
      <Answer query={deliveries}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No delivery failed">
              Deliveries that succeed at the first attempt are not listed.
            </Empty>
          ) : (
            <Stack gap="sm">
              {items.map((delivery) => (
                <Delivery key={delivery.id} webhook={webhook.id} delivery={delivery} mayManage={mayManage} />
              ))}
            </Stack>
          )
        }
      </Answer>
    </Stack>
  );
}

function Actions({ webhook: { id, url, status } }: Pick<Props, 'webhook'>) {
  const queries = useQueryClient();
  const read = () => void queries.invalidateQueries({ queryKey: webhooksQuery.queryKey });
  const path = `/api/v1/webhooks/${id}`;
  const isActive = status === 'active';
  const turn = useMutation({
    mutationFn: () => act('PATCH', path, { enabled: !isActive }),
    onSuccess: read,
  });
  const rotate = useMutation({ mutationFn: () => act<Webhook>('POST', `${path}/rotate`), onSuccess: read });
  const error = turn.error ?? rotate.error;
  return (
    <Stack gap="xs">
      <Group gap="xs">
        <Button variant="default" loading={turn.isPending} onClick={() => turn.mutate()}>
          {isActive ? 'Disable' : 'Enable'}
        </Button>
        <Button variant="default" loading={rotate.isPending} onClick={() => rotate.mutate()}>
          New secret
        </Button>
        <ConfirmedButton
          label="Delete …"
          name={`Delete the webhook to ${url}`}
          confirm="Delete it"
          question="Delete this webhook?"
          command={{ method: 'DELETE', path }}
          changes={webhooksQuery.queryKey}
          isDestructive
          size="sm"
        >
          Nothing more is sent to <span className="anywhere">{url}</span>, and what waits to be sent again is
          dropped.
        </ConfirmedButton>
        <CopyAs
          what="What failed"
          command={{ method: 'GET', path: `${path}/deliveries`, cli: `webhooks ${id}` }}
        />
      </Group>
      {rotate.data?.secret && <WebhookSecret secret={rotate.data.secret} />}
      {error && <ProblemView error={error} />}
    </Stack>
  );
}

function Delivery({
  webhook,
  delivery,
  mayManage,
}: {
  webhook: string;
  delivery: WebhookDelivery;
  mayManage: boolean;
}) {
  const queries = useQueryClient();
  const { id, event, status, attempts, detail, nextAt, lastAt } = delivery;
  const retry = useMutation({
    mutationFn: () => act('POST', `/api/v1/webhooks/${webhook}/deliveries/${id}/retry`),
    onSuccess: () => void queries.invalidateQueries({ queryKey: webhookDeliveriesQuery(webhook).queryKey }),
  });
  return (
    <Group justify="space-between" wrap="nowrap" align="flex-start">
      <Stack gap={2} miw={0}>
        <Group gap="xs">
          <Text size="sm">{event.type}</Text>
          <StatusBadge status={status} />
        </Group>
        <Text size="xs" c="dimmed" className="mono" style={{ overflowWrap: 'anywhere' }}>
          {event.id}
        </Text>
        <Text size="sm" component="div">
          {detail} {attempts} {attempts === 1 ? 'attempt' : 'attempts'}, the last <Time at={lastAt} />
          {nextAt && (
            <>
              , the next <Time at={nextAt} />
            </>
          )}
        </Text>
        {retry.error && <ProblemView error={retry.error} />}
      </Stack>
      {mayManage && (
        <Button size="xs" variant="default" loading={retry.isPending} onClick={() => retry.mutate()}>
          Send again
        </Button>
      )}
    </Group>
  );
}
