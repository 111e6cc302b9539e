import { Group, Stack, Text } from '@mantine/core';
import { IconCircleCheck, IconCircleX } from '@tabler/icons-react';
import type { Finding } from './verification.ts';

/** What was checked and whether it holds, one line each. */
export function Findings({ findings }: { findings: readonly Finding[] }) {
  return (
    <Stack gap="xs" role="status">
      {findings.map(({ name, holds, detail }) => (
        <Group
          key={name}
          gap="xs"
          wrap="nowrap"
          align="flex-start"
          className={holds ? 'tone-good' : 'tone-bad'}
        >
          {holds ? (
            <IconCircleCheck size={20} color="var(--tone-line)" style={{ flex: 'none' }} aria-label="holds" />
          ) : (
            <IconCircleX
              size={20}
              color="var(--tone-line)"
              style={{ flex: 'none' }}
              aria-label="does not hold"
            />
          )}
          <Text size="sm" style={{ overflowWrap: 'anywhere' }}>
            <strong>{name}.</strong> {detail}
          </Text>
        </Group>
      ))}
    </Stack>
  );
}
