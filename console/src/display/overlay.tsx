import { CloseButton, Drawer, Group, Modal, Title } from '@mantine/core';
import type { ReactNode } from 'react';

interface OverlayProps {
  opened: boolean;
  onClose: () => void;
  title: string;
  children: ReactNode;
}

/** A dialog without `onClose` stays until what it asks for is done. */
type DialogProps = Omit<OverlayProps, 'onClose'> & Partial<Pick<OverlayProps, 'onClose'>>;

// The heading stands in the content: the kit's own is a second `header` of the document, which is one banner too many (axe).
function Heading({ title, onClose }: Pick<DialogProps, 'title' | 'onClose'>) {
  return (
    <Group justify="space-between" wrap="nowrap" mb="md">
      <Title order={2} style={{ overflowWrap: 'anywhere' }}>
        {title}
      </Title>
      {onClose && <CloseButton onClick={onClose} aria-label="Close" />}
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
export function Dialog({ opened, onClose, title, children }: DialogProps) {
  return (
    <Modal.Root opened={opened} onClose={onClose ?? stay} centered>
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

function stay(): void {}
