import { Group, Stack, Text, Textarea } from '@mantine/core';
import { IconArrowBackUp, IconMapPin } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { type Bridge, bridgePath, bridgesQuery } from '../api/bridges.ts';
import { meQuery } from '../api/queries.ts';
import type { JsonObject } from '../api/shapes.ts';
import { ConfirmedButton } from '../display/confirmed-button.tsx';
import { JsonView } from '../display/json-view.tsx';

/** Where a source stands on the other side, or under what name a sink keeps its place there, and how to let it go on from elsewhere; nothing where the other side keeps the place of a source. */
export function BridgePlace({ bridge: { name, direction, position, movable } }: { bridge: Bridge }) {
  const me = useQuery(meQuery);
  if (!position) return null;
  return (
    <Stack gap="xs">
      <Text size="xs" c="dimmed">
        Its place on the other side
      </Text>
      <JsonView value={position} label={`Place of ${name}`} />
      {movable && me.data?.permissions.includes('bridges.control') && (
        <Group gap="xs">
          <Move name={name} position={position} {...TEXTS[direction]} />
          <Reset name={name} {...TEXTS[direction]} />
        </Group>
      )}
    </Stack>
  );
}

const AGAIN = 'Events that are in the log already are known by their ids and are not taken twice.';

interface Texts {
  moving: ReactNode;
  resetting: ReactNode;
}
const TEXTS: Readonly<Record<Bridge['direction'], Texts>> = {
  source: {
    moving: <>{AGAIN} What lies between is skipped when it goes forward.</>,
    resetting: (
      <>
        It forgets its place and begins where its definition says (<code className="mono">start</code>).{' '}
        {AGAIN}
      </>
    ),
  },
  sink: {
    moving:
      'The other side keeps how far the bridge came under this name. With another one it goes on from what is there: events up to that place are left out as sent.',
    resetting:
      'It forgets what the other side knows of it and goes on from its consumer group: what was sent lately may come again.',
  },
};

function Move({ name, position, moving }: { name: string; position: JsonObject } & Texts) {
  // What is typed stays while the bridge moves on below it.
  const [text, setText] = useState<string>();
  const written = text ?? JSON.stringify(position, null, 2);
  const to = objectIn(written);
  return (
    <ConfirmedButton
      label="Move"
      name={`Move ${name}`}
      question={`Let ${name} go on from another place?`}
      command={{
        method: 'PUT',
        path: `${bridgePath(name)}/position`,
        body: { position: to ?? {} },
        cli: `bridges ${name} --position '${JSON.stringify(to ?? {})}'`,
      }}
      isReady={to !== undefined}
      changes={bridgesQuery.queryKey}
      icon={<IconMapPin size={14} aria-hidden />}
    >
      <Stack gap="sm">
        {moving}
        <Textarea
          label="Place"
          description="As the bridge shows it"
          autosize
          maxRows={16}
          spellCheck={false}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)' } }}
          value={written}
          onChange={(event) => setText(event.currentTarget.value)}
          error={to === undefined && 'This is not a JSON object.'}
        />
      </Stack>
    </ConfirmedButton>
  );
}

function Reset({ name, resetting }: { name: string } & Texts) {
  return (
    <ConfirmedButton
      label="Begin anew"
      name={`Begin anew: ${name}`}
      question={`Begin ${name} anew?`}
      confirm="Begin anew"
      command={{
        method: 'PUT',
        path: `${bridgePath(name)}/position`,
        body: { position: null },
        cli: `bridges ${name} --reset`,
      }}
      isDestructive
      changes={bridgesQuery.queryKey}
      icon={<IconArrowBackUp size={14} aria-hidden />}
    >
      {resetting}
    </ConfirmedButton>
  );
}

function objectIn(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined;
  } catch {
    return undefined;
  }
}
