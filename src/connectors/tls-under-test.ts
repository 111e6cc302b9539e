import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A certificate authority of a test, and a server's certificate for 127.0.0.1 and `server.test` that it signed. */
export interface TestAuthority {
  /** A file of PEM. */
  readonly caFile: string;
  readonly key: string;
  readonly cert: string;
}

/** Made by the `openssl` of the machine; undefined where there is none. */
export function testAuthority(): TestAuthority | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'aios-tls-'));
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' });
  try {
    openssl('version');
  } catch {
    return undefined;
  }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout'];
  openssl('req', '-x509', ...key, at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=test-ca', '-days', '2');
  openssl('req', ...key, at('server.key'), '-out', at('server.csr'), '-subj', '/CN=server');
  writeFileSync(at('san.cnf'), 'subjectAltName=IP:127.0.0.1,DNS:server.test\n');
  const signed = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2'];
  openssl(
    'x509',
    '-req',
    '-in',
    at('server.csr'),
    ...signed,
    '-extfile',
    at('san.cnf'),
    '-out',
    at('server.pem'),
  );
  const read = (name: string) => readFileSync(at(name), 'utf8');
  return { caFile: at('ca.pem'), key: read('server.key'), cert: read('server.pem') };
}
