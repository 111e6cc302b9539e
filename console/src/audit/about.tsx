import { DefinitionLink } from '../display/definition-link.tsx';
import { shortId } from '../display/format.ts';
import { PageLink } from '../display/link.tsx';

/** What an entry is about, `kind:name`: a link where it has a page. */
export function About({ object }: { object: string }) {
  const [, kind = '', name = object] = /^([a-z-]+):(.+)$/.exec(object) ?? [];
  if (kind === 'run')
    return (
      <PageLink to="/runs/$id" params={{ id: name }} size="sm" className="mono">
        {shortId(name)}
      </PageLink>
    );
  if (kind === 'task')
    return (
      <PageLink to="/inbox" search={{ task: name }} size="sm" className="mono">
        {shortId(name)}
      </PageLink>
    );
  return (
    <>
      <span className="quiet">{kind === '' ? '' : `${kind} `}</span>
      <DefinitionLink kind={kind} name={name} />
    </>
  );
}
