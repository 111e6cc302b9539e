import { Anchor, type AnchorProps } from '@mantine/core';
import { createLink, type LinkComponent } from '@tanstack/react-router';
import type { AnchorHTMLAttributes, Ref } from 'react';

type PlainProps = Omit<AnchorProps, 'href'> &
  Omit<AnchorHTMLAttributes<HTMLAnchorElement>, 'color' | 'style'> & { ref?: Ref<HTMLAnchorElement> };

const Routed = createLink((props: PlainProps) => <Anchor {...props} />);

/** A link to a page of the console, with its address checked by the compiler. */
export const PageLink: LinkComponent<(props: PlainProps) => React.JSX.Element> = (props) => (
  <Routed preload="intent" {...props} />
);
