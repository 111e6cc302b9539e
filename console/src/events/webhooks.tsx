import { Box, Button, Group, Stack, Text } from '@mantine/core';
import { IconPlus, IconWebhook } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { meQuery } from '../api/queries.ts';
import { type Webhook, webhooksQuery } from '../api/webhooks.ts';
import { Badge } from '../display/badge.tsx';
import { CopyAs } from '../display/copy-as.tsx';
import { SidePanel } from '../display/overlay.tsx';
import { Panel } from '../display/page.tsx';
import { Answer, Empty } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { WebhookDetails } from './webhook-details.tsx';
import { NewWebhook } from './webhook-form.tsx';

/** Where events are sent; a row opens what failed, and what can be done. */
export function Webhooks() {
  const webhooks = useQuery({ ...webhooksQuery, refetchInterval: 5_000 });
  const me = useQuery(meQuery);
  const [shown, setShown] = useState<string>();
  const [isMaking, setMaking] = useState(false);
  const mayManage = me.data?.permissions.includes('webhooks.manage') ?? false;
  const opened = webhooks.data?.items.find(({ id }) => id === shown);
  return (
    <Stack gap="md">
      <Group gap="xs">
        {mayManage && (
          <Button leftSection={<IconPlus size={16} />} onClick={() => setMaking(true)}>
            New webhook
          </Button>
        )}
        <CopyAs what="This list" command={{ method: 'GET', path: '/api/v1/webhooks', cli: 'webhooks' }} />
      </Group>
      <Answer query={webhooks}>
        {({ items }) => (
          <Panel padded={items.length === 0}>
            {items.length === 0 ? (
              <Empty title="No webhook" icon={<IconWebhook size={32} />}>
                A webhook sends events to an address as they are committed, signed by Standard Webhooks.
              </Empty>
            ) : (
              <WebhookTable webhooks={items} onOpen={setShown} />
            )}
          </Panel>
        )}
      </Answer>
      <NewWebhook opened={isMaking} onClose={() => setMaking(false)} />
      <SidePanel opened={opened !== undefined} onClose={() => setShown(undefined)} title={opened?.url ?? ''}>
        {opened && <WebhookDetails webhook={opened} mayManage={mayManage} />}
      </SidePanel>
    </Stack>
  );
}

function WebhookTable({ webhooks, onOpen }: { webhooks: readonly Webhook[]; onOpen: (id: string) => void }) {
  return (
    <table className="rows">
      <thead>
        <tr>
          <th>Address</th>
          <th className="wide-only">Events</th>
          <th>How it goes</th>
          <th className="wide-only end">Made</th>
        </tr>
      </thead>
      <tbody>
        {webhooks.map((webhook) => (
          <tr key={webhook.id} data-clickable="true" onClick={() => onOpen(webhook.id)}>
            <td style={{ overflowWrap: 'anywhere' }}>
              <button type="button" className="row-button" onClick={() => onOpen(webhook.id)}>
                {webhook.url}
              </button>
              <Box hiddenFrom="sm">
                <Wanted webhook={webhook} />
              </Box>
              {webhook.description && (
                <Text size="xs" c="dimmed">
                  {webhook.description}
                </Text>
              )}
            </td>
            <td className="wide-only">
              <Wanted webhook={webhook} />
            </td>
            <td>
              <WebhookState webhook={webhook} />
            </td>
            <td className="wide-only end">
              <Time at={webhook.createdAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Wanted({ webhook: { types, filter } }: { webhook: Webhook }) {
  return (
    <>
      <Text size="sm" className="anywhere">
        {types?.join(', ') ?? 'all types'}
      </Text>
      {filter && (
        <Text size="xs" c="dimmed" className="mono">
          {filter}
        </Text>
      )}
    </>
  );
}

function WebhookState({ webhook: { status, disabledReason, failingSince } }: { webhook: Webhook }) {
  if (status === 'disabled')
    return (
      <>
        <Badge tone="quiet">disabled</Badge>
        <Text size="xs" c="dimmed">
          {disabledReason}
        </Text>
      </>
    );
  if (failingSince === undefined) return <Badge tone="good">active</Badge>;
  return (
    <>
      <Badge tone="bad">failing</Badge>
      <Text size="xs" c="dimmed" component="div">
        since <Time at={failingSince} />
      </Text>
    </>
  );
}
