import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { AiosError } from '../kernel/errors.ts';

let isExtended = false;

/**
 * Trusts the certificate authorities of a file beside those that Node knows, for every TLS connection that this process opens from now on, whatever the protocol.
 *
 * @param file of PEM certificates, one or several; nothing happens without one
 * @throws AiosError `request.invalid` when it cannot be read, or holds no certificate
 * @example trustAuthorities('/etc/ssl/company-ca.pem')
 */
export function trustAuthorities(file: string | undefined): void {
  if (!file) return;
  const found = certificatesIn(file);
  isExtended = true;
  setDefaultCACertificates([...new Set([...getCACertificates('default'), ...found])]);
}

/** All that is trusted, as one PEM, for libraries that do not ask Node (grpc-js); null while that is what Node brings. */
export function trustedRoots(): Buffer | null {
  return isExtended ? Buffer.from(getCACertificates('default').join('\n')) : null;
}

function certificatesIn(file: string): string[] {
  try {
    const found = readFileSync(file, 'utf8').match(
      /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g,
    );
    if (!found) throw new Error('It holds no certificate in PEM.');
    for (const certificate of found) void new X509Certificate(certificate);
    return found;
  } catch (error) {
    throw new AiosError('request.invalid', { detail: `AIOS_CA_FILE ${file}: ${(error as Error).message}` });
  }
}
