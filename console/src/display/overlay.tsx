import { CloseButton, Drawer, Group, Modal, Title } from '@mantine/core';
import type { ReactNode } from 'react';

interface OverlayProps {
  opened: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
}

// The heading stands in the content: the kit's own is a second `header` of the document, which is one banner too many (axe).
function Heading({ title, onClose }: Pick<OverlayProps, 'title' | 'onClose'>) {
  return (
    <Group justify="space-between" wrap="nowrap" mb="md">
      <Title order={2} style={{ overflowWrap: 'anywhere' }}>
        {title}
      </Title>
      <CloseButton onClick={onClose} aria-label="Close" />
    </Group>
  );
}

/** Details beside the page that they belong to. */
export function SidePanel({ opened, onClose, title, children }: OverlayProps) {
  return (
    <Drawer.Root opened={opened} onClose={onClose} position="right" size="lg">
      <Drawer.Overlay />
      <Drawer.Content aria-label={title}>
        <Drawer.Body>
          <Heading title={title} onClose={onClose} />
          {children}
        </Drawer.Body>
      </Drawer.Content>
    </Drawer.Root>
  );
}

/** A question before something is done. */
export function Dialog({ opened, onClose, title, children }: OverlayProps) {
  return (
    <Modal.Root opened={opened} onClose={onClose} centered>
      <Modal.Overlay />
      <Modal.Content aria-label={title}>
        <Modal.Body>
          <Heading title={title} onClose={onClose} />
          {children}
        </Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
