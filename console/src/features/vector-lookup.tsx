import { Button, Group, Select, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { type FeatureView, featureServicesQuery, ONLINE_PATH, type Vectors } from '../api/features.ts';
import { act } from '../api/request.ts';
import { CopyAs } from '../display/copy-as.tsx';
import { Panel } from '../display/page.tsx';
import { ProblemView } from '../display/states.tsx';

/** What an entity has now, by a service that reads the view. */
export function VectorLookup({ view }: { view: FeatureView }) {
  const services = useQuery(featureServicesQuery);
  const [chosen, setService] = useState<string | null>(null);
  const [given, setGiven] = useState<Readonly<Record<string, string>>>({});
  const service = chosen ?? view.services[0];
  const known = services.data?.items.find(({ name }) => name === service);
  const joinKeys = known?.joinKeys ?? view.joinKeys;
  const values = Object.entries(known?.request ?? {});
  const request = Object.fromEntries(values.map(([name, type]) => [name, typedOf(type, given[name] ?? '')]));
  const body = {
    service: service ?? '',
    entities: [entityOf(joinKeys, given)],
    ...(values.length === 0 ? {} : { request }),
  };
  const cli = [
    `features online ${service}`,
    ...joinKeys.map((key) => `${key}=${given[key] ?? ''}`),
    ...(values.length === 0 ? [] : [`--request '${JSON.stringify(request)}'`]),
  ].join(' ');
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
            cli,
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
            {[...joinKeys, ...values.map(([name]) => name)].map((key) => (
              <TextInput
                key={key}
                label={key}
                value={given[key] ?? ''}
                onChange={({ currentTarget: { value } }) => setGiven({ ...given, [key]: value })}
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

/** A value of the request as its type has it; what is left empty is nothing. */
function typedOf(type: string, text: string) {
  if (text === '') return null;
  if (type === 'boolean') return text === 'true';
  return type === 'string' || Number.isNaN(Number(text)) ? text : Number(text);
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
