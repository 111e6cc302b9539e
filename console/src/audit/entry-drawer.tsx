import { Button, Group, Stack, Text } from '@mantine/core';
import { IconShieldCheck } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { auditEntryQuery } from '../api/queries.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { exactTime } from '../display/format.ts';
import { JsonView } from '../display/json-view.tsx';
import { SidePanel } from '../display/overlay.tsx';
import { Answer } from '../display/states.tsx';
import { Who } from '../display/who.tsx';
import { About } from './about.tsx';
import { Findings } from './findings.tsx';
import { publishedKey, serverLog } from './log-source.ts';
import { verifyEntry } from './verification.ts';

export function EntryDrawer({ index, onClose }: { index: number | undefined; onClose: () => void }) {
  return (
    <SidePanel
      opened={index !== undefined}
      onClose={onClose}
      title={index === undefined ? '' : `Entry ${index}`}
    >
      {index !== undefined && <Entry key={index} index={index} />}
    </SidePanel>
  );
}

function Entry({ index }: { index: number }) {
  const entry = useQuery(auditEntryQuery(index));
  const check = useMutation({
    mutationFn: async () => verifyEntry(serverLog, await publishedKey(), index),
  });
  return (
    <Answer query={entry}>
      {({ payload, ...shown }) => (
        <Stack gap="md">
          <dl className="facts">
            <Fact name="What" value={`${shown.action} (${shown.kind})`} />
            <Fact
              name="By"
              value={
                <>
                  <Who id={shown.actor.id} /> ({shown.actor.kind})
                </>
              }
            />
            <Fact name="When" value={exactTime(shown.at)} />
            <div className="long">
              <dt>About</dt>
              <dd>
                <About object={shown.object} />
              </dd>
            </div>
          </dl>
          <Group>
            <Button
              variant="default"
              leftSection={<IconShieldCheck size={16} />}
              loading={check.isPending}
              onClick={() => check.mutate()}
            >
              Check this entry
            </Button>
            <CopyAs
              what="Its proof"
              command={{ method: 'GET', path: `/api/v1/audit/proof?index=${index}` }}
            />
          </Group>
          {check.data && <Findings findings={[check.data]} />}
          <Text fw={600} size="sm">
            What was recorded
          </Text>
          {payload === undefined ? (
            <Text size="sm" c="dimmed">
              It is not shown: your key may not see it, or it was erased for its subject. The entry proves it
              by its digest.
            </Text>
          ) : (
            <JsonView value={payload} label="Payload" />
          )}
          <Text fw={600} size="sm">
            In the tree
          </Text>
          <JsonView value={JSON.parse(JSON.stringify(shown))} label="Entry" />
        </Stack>
      )}
    </Answer>
  );
}

function Fact({ name, value }: { name: string; value: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}
