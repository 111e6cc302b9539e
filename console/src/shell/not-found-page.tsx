import { IconMapOff } from '@tabler/icons-react';
import { PageLink } from '../display/link.tsx';
import { Page, Panel } from '../display/page.tsx';
import { Empty } from '../display/states.tsx';

export function NotFoundPage() {
  return (
    <Page title="Nothing here">
      <Panel>
        <Empty title="There is no page at this address" icon={<IconMapOff size={32} />}>
          It may have been truncated when it was copied.{' '}
          <PageLink to="/" underline="always">
            Go home
          </PageLink>{' '}
          or press <kbd>Ctrl K</kbd>.
        </Empty>
      </Panel>
    </Page>
  );
}
