import { Group, Stack, Text, Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import type { ReactNode } from 'react';

interface PageProps {
  title: string;
  /** Above the title: the page that this one belongs to, as a link. */
  parent?: ReactNode;
  /** Beside the title. */
  marks?: ReactNode;
  subtitle?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of every page: its name, what can be done here, and then the page. */
export function Page({ title, parent, marks, subtitle, actions, children }: PageProps) {
  useDocumentTitle(`${title} · AIOS`);
  return (
    <Stack gap="md">
      {/* A long name takes more lines; only on a phone do the actions go below it. */}
      <Group justify="space-between" align="flex-end" gap="sm" className="page-head">
        <Stack gap={2} miw={0}>
          {parent && <nav aria-label="Up">{parent}</nav>}
          <Group gap="sm">
            <Title order={1} style={{ overflowWrap: 'anywhere' }}>
              {title}
            </Title>
            {marks}
          </Group>
          {subtitle && (
            <Text c="dimmed" size="sm" component="div">
              {subtitle}
            </Text>
          )}
        </Stack>
        {actions && (
          <Group gap="xs" className="page-actions">
            {actions}
          </Group>
        )}
      </Group>
      {children}
    </Stack>
  );
}

export function Panel({
  title,
  aside,
  children,
  padded = true,
}: {
  title?: string;
  aside?: ReactNode;
  children: ReactNode;
  padded?: boolean;
}) {
  return (
    <section className="panel" aria-label={title}>
      {title && (
        <Group justify="space-between" px="md" pt="sm" pb={padded ? 0 : 'xs'}>
          <Title order={2}>{title}</Title>
          {aside}
        </Group>
      )}
      <div className={padded ? 'panel-body' : 'panel-whole'}>{children}</div>
    </section>
  );
}
