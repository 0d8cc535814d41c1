import { makeRelayProof } from '../codec/relay-proof.ts';
import { sha256 } from '../core/bytes.ts';
import { type AccessToken, requestKey } from './access-token.ts';
import { demandBytes, demandText, demandToken } from './arguments.ts';

/**
 * A proof of possession for a connected device that speaks no HTTP (docs/protocol.md, "Relayed proofs"): COSE_Sign1, or
 * COSE_Mac0 under a key that client and authorization server share. Good once, for this nonce.
 * @param options.nonce the device's, 8 to 64 bytes
 * @param options.audience the `aud` of tokens for the device
 * @throws {LatchkeyError} `client_argument_invalid`; `client_key_missing`; `request_invalid` for a nonce of another size
 */
export function makeCoseProof(options: {
  readonly token: AccessToken;
  readonly audience: string;
  readonly nonce: Uint8Array;
}): Uint8Array {
  const { audience, nonce, token } = options;
  demandToken('token', token);
  demandText('audience', audience);
  demandBytes('nonce', nonce);
  return makeRelayProof({
    nonce,
    audience,
    tokenDigest: sha256(token.value.expose()),
    key: requestKey(token),
    // A token that is bound by thumbprint does not say the key itself.
    ...(token.scheme === 'DPoP' ? { show: token.key.publicJwk } : {}),
  });
}
