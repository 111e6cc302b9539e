import { Group, Stack, Text, Title } from '@mantine/core';
import { useDocumentTitle } from '@mantine/hooks';
import type { ReactNode } from 'react';

interface PageProps {
  title: string;
  /** Beside the title. */
  marks?: ReactNode;
  subtitle?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of every page: its name, what can be done here, and then the page. */
export function Page({ title, marks, subtitle, actions, children }: PageProps) {
  useDocumentTitle(`${title} · AIOS`);
  return (
    <Stack gap="md">
      <Group justify="space-between" align="flex-end" gap="sm">
        <Stack gap={2} miw={0}>
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
      <div style={padded ? { padding: '12px 16px 16px' } : { overflowX: 'auto' }}>{children}</div>
    </section>
  );
}
