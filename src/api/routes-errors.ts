import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { closestName } from '../kernel/closest-name.ts';
import { ERRORS, type ErrorCode } from '../kernel/error-codes.ts';
import { errorPage } from '../kernel/error-pages.ts';
import { AiosError, errorType } from '../kernel/errors.ts';
import { route } from './routes.ts';

const ErrorRowShape = Type.Object({
  type: Type.String({ description: 'The `type` of problems with this code: this address' }),
  code: Type.String(),
  status: Type.Integer(),
  retryable: Type.Boolean({ description: 'Whether the same call may succeed later without a change' }),
  title: Type.String(),
  hint: Type.String({ description: 'How to resolve it' }),
  hintInConsole: Type.Optional(
    Type.String({
      description: 'How to resolve it in the console, where `hint` does not serve a person there',
    }),
  ),
  docs: Type.Optional(Type.String({ description: 'The page about it, in the repository' })),
});

/** The row of the table of errors that the `type` of a problem (RFC 9457) leads to: a page for people, JSON for programs. */
export function errorRoutes(server: FastifyInstance): void {
  route(server, {
    method: 'GET',
    url: '/errors/:code',
    permission: 'public',
    summary: 'What an error means and how to resolve it; the `type` of a problem is this address',
    tag: 'system',
    params: Type.Object({ code: Type.String() }),
    answer: ErrorRowShape,
    handle: ({ params: { code }, request, reply }) => {
      const row = rowOf(code);
      if (!request.headers.accept?.includes('text/html')) return row;
      return reply
        .type('text/html; charset=utf-8')
        .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
        .send(pageOf(row));
    },
  });
}

function rowOf(code: string) {
  if (!Object.hasOwn(ERRORS, code)) {
    const meant = closestName(code, Object.keys(ERRORS));
    const advice = meant === undefined ? 'docs/errors.md lists them' : `did you mean ${meant}?`;
    throw new AiosError('request.not_found', { detail: `There is no error “${code}”; ${advice}` });
  }
  const known = code as ErrorCode;
  const row = ERRORS[known];
  const page = errorPage(known);
  const docs = page && (page.startsWith('../') ? page.slice('../'.length) : `docs/${page}`);
  return { type: errorType(known), code: known, ...row, ...(docs && { docs }) };
}

function pageOf({
  code,
  status,
  retryable,
  title,
  hint,
  hintInConsole,
  docs,
}: ReturnType<typeof rowOf>): string {
  const rows = [
    ['Way forward', hint],
    ...(hintInConsole ? [['In the console', hintInConsole]] : []),
    ['Again', retryable ? 'The same call may succeed later.' : 'The same call fails again without a change.'],
    ['Status', String(status)],
    ...(docs ? [['More', docs]] : []),
  ];
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${code}</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}dt{font-weight:600;margin-top:1rem}dd{margin:0}</style>
<h1>${escaped(title)}</h1>
<p><code>${code}</code></p>
<dl>${rows.map(([name, text]) => `<dt>${name}</dt><dd>${escaped(text!)}</dd>`).join('')}</dl>
</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
