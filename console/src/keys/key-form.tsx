import {
  Alert,
  Button,
  Checkbox,
  Code,
  CopyButton,
  Group,
  NativeSelect,
  Stack,
  Text,
  TextInput,
} from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { KEYS_PATH } from '../api/keys.ts';
import { act } from '../api/request.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { namesIn } from '../display/names-in.ts';
import { Dialog } from '../display/overlay.tsx';
import { ProblemView } from '../display/states.tsx';
import { expiryOf, LIFETIMES } from './key-state.ts';
import { ROLES } from './roles.ts';

const NOTHING = { name: '', roles: [] as string[], groups: '', days: '90' };
type Wanted = typeof NOTHING;

/** Makes a key, and shows it the one time that it is told; the dialog then stays until its reader is done. */
export function NewKey({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const queries = useQueryClient();
  const [wanted, setWanted] = useState(NOTHING);
  const create = useMutation({
    mutationFn: () => act<{ id: string; key: string }>('POST', KEYS_PATH, bodyOf(wanted)),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ['keys'] }),
  });
  const close = () => {
    create.reset();
    setWanted(NOTHING);
    onClose();
  };
  return create.data ? (
    <Dialog opened={opened} title={`The key of ${wanted.name.trim()}`}>
      <Stack gap="md">
        <MadeKey secret={create.data.key} />
        <Group justify="flex-end">
          <Button onClick={close}>Done</Button>
        </Group>
      </Stack>
    </Dialog>
  ) : (
    <Dialog opened={opened} onClose={close} title="New key">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          create.mutate();
        }}
      >
        <Stack gap="md">
          <Fields wanted={wanted} onChange={(part) => setWanted((before) => ({ ...before, ...part }))} />
          {create.error && <ProblemView error={create.error} />}
          <Group justify="flex-end">
            <CopyAs what="The new key" command={{ method: 'POST', path: KEYS_PATH, body: bodyOf(wanted) }} />
            <Button type="submit" loading={create.isPending} disabled={wanted.roles.length === 0}>
              Make it
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}

function bodyOf({ name, roles, groups, days }: Wanted) {
  const expiresAt = expiryOf(days, Date.now());
  return {
    name: name.trim(),
    roles,
    groups: namesIn(groups),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  };
}

function Fields({ wanted, onChange }: { wanted: Wanted; onChange: (part: Partial<Wanted>) => void }) {
  return (
    <>
      <TextInput
        label="Name"
        description="Of the person or program that will hold it; it stands beside all that they do"
        placeholder="Ann Weber, deploy pipeline"
        required
        maxLength={200}
        value={wanted.name}
        onChange={(event) => onChange({ name: event.currentTarget.value })}
      />
      <Checkbox.Group
        label="Roles"
        withAsterisk
        value={wanted.roles}
        onChange={(roles) => onChange({ roles })}
      >
        <Stack gap={10} mt={6}>
          {Object.entries(ROLES).map(([role, may]) => (
            <Checkbox key={role} value={role} label={role} description={may} />
          ))}
        </Stack>
      </Checkbox.Group>
      <TextInput
        label="Groups"
        description="Of a person: cases are for groups. Separated by commas"
        placeholder="refunds, fraud"
        value={wanted.groups}
        onChange={(event) => onChange({ groups: event.currentTarget.value })}
      />
      <NativeSelect
        label="Expires"
        description={
          wanted.days === '' ? 'In force until somebody revokes it.' : 'It is refused from then on.'
        }
        data={[...LIFETIMES]}
        value={wanted.days}
        onChange={(event) => onChange({ days: event.currentTarget.value })}
      />
    </>
  );
}

function MadeKey({ secret }: { secret: string }) {
  return (
    <Alert title="The key is shown this once" role="status">
      <Stack gap="xs">
        <Code block style={{ overflowWrap: 'anywhere', whiteSpace: 'pre-wrap' }}>
          {secret}
        </Code>
        <CopyButton value={secret}>
          {({ copied, copy }) => (
            <Button
              variant="default"
              w="fit-content"
              leftSection={copied ? <IconCheck size={16} /> : <IconCopy size={16} />}
              onClick={copy}
            >
              {copied ? 'Copied' : 'Copy the key'}
            </Button>
          )}
        </CopyButton>
        <Text size="sm">
          AIOS keeps no copy that could be read. A person logs in with it; a program sends it as{' '}
          <code className="mono">Authorization: Bearer …</code>; the command line takes it from{' '}
          <code className="mono">AIOS_API_KEY</code>.
        </Text>
      </Stack>
    </Alert>
  );
}
