import { Group } from '@mantine/core';
import { PageLink } from './link.tsx';

interface VersionLinksProps {
  /** The page of what has the versions. */
  to: '/models/$name' | '/datasets/$name';
  versions: readonly { name: string; version: number }[];
}

/** Versions of models or datasets, each a link to its page. */
export function VersionLinks({ to, versions }: VersionLinksProps) {
  return (
    <Group gap="sm">
      {versions.map(({ name, version }) => (
        <PageLink
          key={`${name} ${version}`}
          to={to}
          params={{ name }}
          search={{ version: String(version) }}
          size="sm"
        >
          {name} v{version}
        </PageLink>
      ))}
    </Group>
  );
}
