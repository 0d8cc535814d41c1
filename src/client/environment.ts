import { randomBytes, X509Certificate } from 'node:crypto';
import type { Clock, Random, Timers } from '../core/clock.ts';
import { argumentError, demandText } from './arguments.ts';

/** What the client needs of the world. Tests hand in their own. */
export interface ClientEnvironment {
  readonly fetch: typeof fetch;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
}

/** How a server is reached. */
export interface ConnectionOptions {
  /**
   * Certificate authorities in PEM that the server's TLS certificate must lead to, in place of those of the system. With
   * an `environment`, this one's `fetch` is not used.
   */
  readonly ca?: string;
  readonly environment?: ClientEnvironment;
}

/** The machine's own. A timer keeps the process alive here: its caller awaits it. */
export const systemEnvironment: ClientEnvironment = {
  fetch: (input, init) => fetch(input, init),
  clock: {
    now: () => {
      const seconds = Math.floor(Date.now() / 1000);
      return { earliest: seconds, latest: seconds };
    },
    monotonic: () => performance.now(),
  },
  timers: {
    after(milliseconds, action) {
      const timer = setTimeout(action, milliseconds);
      return () => clearTimeout(timer);
    },
  },
  random: {
    bytes: (length) => new Uint8Array(randomBytes(length)),
    // For jitter only, as the port says.
    fraction: () => Math.random(),
  },
};

/** @throws {LatchkeyError} `client_argument_invalid` for a `ca` without a certificate */
export function environmentOf({ ca, environment = systemEnvironment }: ConnectionOptions): ClientEnvironment {
  if (ca === undefined) return environment;
  demandCertificates(ca);
  let trusting: Promise<typeof fetch> | undefined;
  return {
    ...environment,
    async fetch(input, init) {
      trusting ??= import('./own-trust.ts').then(({ fetchTrusting }) => fetchTrusting(ca));
      return (await trusting)(input, init);
    },
  };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Without them every server would be refused, and a file that was read wrongly would look like a hostile server. */
function demandCertificates(ca: string): void {
  demandText('ca', ca);
  const certificates = ca.match(CERTIFICATE) ?? [];
  if (certificates.length === 0) throw argumentError('ca: no certificate in PEM; hand in the text, not the path');
  for (const certificate of certificates) {
    try {
      new X509Certificate(certificate);
    } catch {
      // OpenSSL's own words add nothing.
      throw argumentError('ca: a certificate that cannot be read');
    }
  }
}
