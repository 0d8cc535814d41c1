import { SignJWT } from 'jose';
import { base64url, sha256 } from '../core/bytes.ts';
import { bestGuess } from '../core/clock.ts';
import type { JsonObject } from '../core/json.ts';
import type { DpopToken } from './access-token.ts';
import type { ClientEnvironment } from './environment.ts';

export interface DpopProofOptions {
  readonly token: DpopToken;
  readonly method: string;
  readonly url: URL;
  /** The newest DPoP-Nonce of that server. */
  readonly nonce: string | undefined;
  readonly environment: Pick<ClientEnvironment, 'clock' | 'random'>;
}

/** A proof for one request that presents `token` (RFC 9449 §4.2). Never send it twice. */
export async function makeDpopProof(options: DpopProofOptions): Promise<string> {
  const { token, method, url, nonce, environment } = options;
  const claims: JsonObject = {
    jti: base64url(environment.random.bytes(16)),
    htm: method,
    // RFC 9449 §4.2: without query and fragment.
    htu: `${url.origin}${url.pathname}`,
    iat: bestGuess(environment.clock.now()),
    ath: base64url(sha256(token.value.expose())),
    ...(nonce === undefined ? {} : { nonce }),
  };
  return new SignJWT({ ...claims })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: token.key.algorithm, jwk: { ...token.key.publicJwk } })
    .sign(token.key.pair.privateKey);
}
