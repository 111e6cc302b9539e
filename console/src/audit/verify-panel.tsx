import { Button, Group, Progress, Stack, Text } from '@mantine/core';
import { IconShieldCheck } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { count } from '../display/format.ts';
import { Id } from '../display/id.tsx';
import { Panel } from '../display/page.tsx';
import { ProblemView } from '../display/states.tsx';
import { Time } from '../display/time.tsx';
import { Findings } from './findings.tsx';
import { publishedKey, remember, remembered, serverLog } from './log-source.ts';
import { type Verification, verifyLog } from './verification.ts';

/** Verifies the log in this browser and says what was checked. */
export function VerifyPanel() {
  const key = useQuery({ queryKey: ['audit-key'], queryFn: publishedKey, staleTime: 60_000 });
  const [progress, setProgress] = useState<{ read: number; size: number }>();
  const verify = useMutation({
    mutationFn: async (): Promise<Verification> => {
      if (!globalThis.crypto?.subtle)
        throw new Error(
          'This page came by plain http from another machine, where browsers withhold cryptography. Use https, or localhost.',
        );
      const verifier = await publishedKey();
      const result = await verifyLog(serverLog, verifier, remembered(verifier), (read, size) =>
        setProgress({ read, size }),
      );
      remember(verifier, result);
      return result;
    },
  });
  const seen = key.data === undefined ? undefined : remembered(key.data);
  return (
    <Panel>
      <Stack gap="sm">
        <Group justify="space-between" gap="sm">
          <div>
            <Headline result={verify.data} seen={seen} />
            <Text size="sm" c="dimmed" maw={760}>
              This browser reads every entry, computes the tree itself, and checks the signature with the
              log’s public key.
            </Text>
          </div>
          <Button
            leftSection={<IconShieldCheck size={18} />}
            loading={verify.isPending}
            onClick={() => verify.mutate()}
          >
            Verify in this browser
          </Button>
        </Group>
        {verify.isPending && progress && (
          <Progress value={(100 * progress.read) / Math.max(1, progress.size)} aria-label="Entries read" />
        )}
        {verify.error && <ProblemView error={verify.error} />}
        {verify.data && <Findings findings={verify.data.findings} />}
        {key.data && (
          <Group gap={6} fz="xs" c="dimmed">
            <span>Key of the log:</span>
            <Id value={key.data} />
          </Group>
        )}
      </Stack>
    </Panel>
  );
}

function Headline({
  result,
  seen,
}: {
  result: Verification | undefined;
  seen: { size: number; at: string } | undefined;
}) {
  if (result) {
    const holds = result.findings.every((finding) => finding.holds);
    return (
      <Text fw={650} fz="lg" className={holds ? 'tone-good' : 'tone-bad'} c="var(--tone-fg)">
        {holds ? `The log holds: ${count(result.checkpoint?.size ?? 0)} entries` : 'The log does not hold'}
      </Text>
    );
  }
  return (
    <Text fw={650} fz="lg">
      {seen ? (
        <>
          {count(seen.size)} entries verified here <Time at={seen.at} />
        </>
      ) : (
        'Not verified in this browser yet'
      )}
    </Text>
  );
}
