import { Button, Group, List, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { KEYS_PATH, type Key } from '../api/keys.ts';
import { meQuery } from '../api/queries.ts';
import { act } from '../api/request.ts';
import { Badge } from '../display/badge.tsx';
import { ConfirmedButton } from '../display/confirmed-button.tsx';
import { exactTime } from '../display/format.ts';
import { Id } from '../display/id.tsx';
import { PageLink } from '../display/link.tsx';
import { namesIn } from '../display/names-in.ts';
import { ProblemView } from '../display/states.tsx';
import { useNow } from '../display/time.tsx';
import { Who } from '../display/who.tsx';
import { stateOf, warningsOf } from './key-state.ts';
import { ROLES } from './roles.ts';

/** What is known of a key; its groups are changed here, and it is revoked. */
export function KeyDetails({ shown, keys }: { shown: Key; keys: readonly Key[] }) {
  const now = useNow();
  const { id, roles, createdAt, createdBy, lastUsedAt, expiresAt, revokedAt, trainingRun } = shown;
  const { text, tone } = stateOf(shown, now);
  const isOver = tone === 'quiet';
  return (
    <Stack gap="lg">
      <dl className="facts">
        <Fact name="State">
          <Badge tone={tone} dot>
            {text}
          </Badge>
        </Fact>
        <Fact name="Id">
          <Id value={id} />
        </Fact>
        <Fact name="Made by">
          <Who id={createdBy} />
        </Fact>
        <Fact name="Created">{exactTime(createdAt)}</Fact>
        <Fact name="Last used">{lastUsedAt ? exactTime(lastUsedAt) : 'never'}</Fact>
        <Fact name={revokedAt ? 'Revoked' : 'Expires'}>
          {(revokedAt ?? expiresAt) ? exactTime(revokedAt ?? expiresAt ?? '') : 'never'}
        </Fact>
      </dl>
      <div>
        <Text size="sm" fw={600} mb={4}>
          {isOver ? 'What it could do' : 'What it may do'}
        </Text>
        <List size="sm" spacing={4}>
          {roles.map((role) => (
            <List.Item key={role}>
              <Text span fw={500} size="sm">
                {role}
              </Text>
              {ROLES[role] && ` – ${ROLES[role]}`}
            </List.Item>
          ))}
        </List>
      </div>
      {!isOver && <Groups shown={shown} />}
      <Group gap="lg">
        {!isOver && <Revoke shown={shown} keys={keys} />}
        <PageLink to="/audit" search={{ object: `key:${id}` }} size="sm">
          Its entries in the audit log
        </PageLink>
        {trainingRun && (
          <PageLink to="/experiments/runs/$id" params={{ id: trainingRun }} size="sm">
            The training that it is for
          </PageLink>
        )}
      </Group>
    </Stack>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Groups({ shown: { id, groups } }: { shown: Key }) {
  const queries = useQueryClient();
  const [text, setText] = useState(groups.join(', '));
  const save = useMutation({
    mutationFn: () => act('PUT', `${KEYS_PATH}/${id}/groups`, { groups: namesIn(text) }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['keys'] }),
  });
  const isSame = namesIn(text).join() === groups.join();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        save.mutate();
      }}
    >
      <Stack gap="xs">
        <Group align="flex-end" wrap="nowrap" gap="xs">
          <TextInput
            flex={1}
            label="Groups"
            description="Whose cases its holder sees and decides. Separated by commas"
            placeholder="none"
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
          <Button type="submit" variant="default" loading={save.isPending} disabled={isSame}>
            Save
          </Button>
        </Group>
        {save.error && <ProblemView error={save.error} />}
      </Stack>
    </form>
  );
}

function Revoke({ shown, keys }: { shown: Key; keys: readonly Key[] }) {
  const me = useQuery(meQuery);
  const { id, name } = shown;
  const warnings = warningsOf(shown, keys, me.data?.id);
  return (
    <ConfirmedButton
      label="Revoke …"
      name={`Revoke ${name}`}
      confirm="Revoke it"
      question={`Revoke the key of ${name}?`}
      command={{ method: 'DELETE', path: `${KEYS_PATH}/${id}`, cli: `keys ${id} --revoke` }}
      changes={['keys']}
      isDestructive
      size="sm"
    >
      <Stack gap="xs">
        <Text size="sm">
          Whoever uses it is refused from now on, in every process within seconds, and its sessions of the
          console end. It does not come back. What was done with it stays recorded under its name.
        </Text>
        {warnings.map((warning) => (
          <Text key={warning} size="sm" fw={600} c="var(--bad-fg)">
            {warning}
          </Text>
        ))}
      </Stack>
    </ConfirmedButton>
  );
}
