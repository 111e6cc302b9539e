import { useEffect, useState } from 'react';
import { ProblemError } from '../api/request.ts';
import { Page } from '../display/page.tsx';
import { Loading, ProblemView } from '../display/states.tsx';

const SAID = 'A part of this page could not be read.';
const STORED = 'aios.loaded-again-at';
/** A page that was loaded again lacks a part once more: within this time it is not loaded a second time. */
const AGAIN_MS = 60_000;
const ASK_MS = 2_000;

/**
 * After an upgrade the parts of a page that is still open have other names. The router would load the page anew by the browser's wording of
 * that, without asking whether a server is there: it gets our wording instead, and `MissingPart` does it.
 */
export function markMissingParts(): void {
  addEventListener('vite:preloadError', ({ payload }) => {
    payload.message = SAID;
  });
}

export function isMissingPart(error: unknown): boolean {
  return error instanceof Error && error.message === SAID;
}

/** Whether this page was just loaded again for a part that was missing. */
export function wasLoadedAgain(): boolean {
  const at = sessionStorage.getItem(STORED);
  return at !== null && Date.now() - Number(at) < AGAIN_MS;
}

/** Instead of a page of which a part is missing: the page is loaded again, once, when a server answers. */
export function MissingPart() {
  const [isStuck] = useState(wasLoadedAgain);
  useEffect(() => {
    if (isStuck) return;
    const ask = async () => {
      try {
        await fetch('/api/v1/me', { credentials: 'same-origin' });
      } catch {
        return; // nobody answers yet: loaded now, the page would be the browser's own error
      }
      sessionStorage.setItem(STORED, String(Date.now()));
      location.reload();
    };
    void ask();
    const timer = setInterval(() => void ask(), ASK_MS);
    return () => clearInterval(timer);
  }, [isStuck]);
  if (!isStuck)
    return (
      <Page
        title="One moment"
        subtitle="A part of this page could not be loaded. It is loaded again as soon as AIOS answers."
      >
        <Loading />
      </Page>
    );
  return (
    <Page title="This page is incomplete">
      <ProblemView error={new ProblemError(INCOMPLETE)} retry={() => location.reload()} />
    </Page>
  );
}

const INCOMPLETE = {
  status: 0,
  code: 'part-missing',
  title: SAID,
  detail: 'The page was loaded again, and the part is still missing.',
  hint: 'If AIOS is being upgraded, try again when it is done. Otherwise build the console anew: npm start does.',
};
