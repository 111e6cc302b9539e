import { Button, Group, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type FeatureView, featureViewsQuery, ONLINE_PATH, type Vectors } from '../api/features.ts';
import { act } from '../api/request.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { Panel } from '../display/page.tsx';
import { ProblemView } from '../display/states.tsx';

/** What an entity has now, by a service that reads the view. */
export function VectorLookup({ view }: { view: FeatureView }) {
  const views = useQuery(featureViewsQuery);
  const [chosen, setService] = useState<string | null>(null);
  const [keys, setKeys] = useState<Readonly<Record<string, string>>>({});
  const service = chosen ?? view.services[0];
  const read = (views.data?.items ?? [view]).filter(({ services }) => services.includes(service ?? ''));
  const joinKeys = [...new Set(read.flatMap((each) => each.joinKeys))];
  const body = { service: service ?? '', entities: [entityOf(joinKeys, keys)] };
  const lookup = useMutation({ mutationFn: () => act<Vectors>('POST', ONLINE_PATH, body) });
  if (service === undefined) return null;
  return (
    <Panel
      title="An entity now"
      aside={
        <CopyAs
          what="This question"
          command={{
            method: 'POST',
            path: ONLINE_PATH,
            body,
            cli: `features online ${service} ${joinKeys.map((key) => `${key}=${keys[key] ?? ''}`).join(' ')}`,
          }}
        />
      }
    >
      <Stack gap="sm">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            lookup.mutate();
          }}
        >
          <Group align="flex-end">
            <Select
              label="Service"
              data={view.services}
              value={service}
              allowDeselect={false}
              onChange={setService}
            />
            {joinKeys.map((key) => (
              <TextInput
                key={key}
                label={key}
                value={keys[key] ?? ''}
                onChange={({ currentTarget: { value } }) => setKeys({ ...keys, [key]: value })}
              />
            ))}
            <Button type="submit" variant="default" loading={lookup.isPending}>
              Look up
            </Button>
          </Group>
        </form>
        {lookup.error && <ProblemView error={lookup.error} />}
        {lookup.data && <Vector vectors={lookup.data} />}
      </Stack>
    </Panel>
  );
}

/** A key that is left empty is none: the entity is not known by it. */
function entityOf(joinKeys: readonly string[], keys: Readonly<Record<string, string>>) {
  return Object.fromEntries(joinKeys.map((key) => [key, keys[key] || null]));
}

function Vector({ vectors: { names, rows } }: { vectors: Vectors }) {
  const [values = []] = rows;
  return (
    <table className="rows" aria-label="Features of the entity">
      <thead>
        <tr>
          <th>Feature</th>
          <th className="end">Value</th>
        </tr>
      </thead>
      <tbody>
        {names.map((name, index) => (
          <tr key={name}>
            <td className="mono">{name}</td>
            <td className="end mono">
              {values[index] === null ? (
                <Text component="span" size="sm" c="dimmed">
                  nothing
                </Text>
              ) : (
                JSON.stringify(values[index])
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
