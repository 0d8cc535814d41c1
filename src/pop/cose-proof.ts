/** A COSE proof that a client gave a connected device (docs/protocol.md, "Relayed proofs"), judged for the device. */
import type { CoseKey } from '../codec/cose/key.ts';
import { isNonce, type RelayProof, readRelayProof, verifyRelayProof } from '../codec/relay-proof.ts';
import { base64url } from '../core/bytes.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import type { PresentedProof } from '../core/introspection.ts';
import { LIMITS } from '../core/limits.ts';
import type { Binding } from './binding.ts';
import type { ProofKey, ProofKeys } from './proof-keys.ts';

export interface CoseProofContext {
  /** SHA-256 over the access token. 32 bytes. */
  readonly tokenDigest: Uint8Array;
  /** The `aud` that names the device. */
  readonly audience: string;
  readonly keys: ProofKeys;
}

type KeyBinding = Extract<Binding, { readonly kind: 'public' | 'shared' }>;

/** A good proof. It counts once its identifier went through the replay window. */
export interface JudgedCose {
  /** The client's public key; undefined where it shares a secret with the AS. */
  readonly key: ProofKey | undefined;
  readonly identifier: string;
}

/**
 * Judges everything but whether the proof was used before. That it is fresh is the device's word: it gives each nonce once.
 * @throws {LatchkeyError} `proof_malformed`, also for one that shows no key although the token holds only its thumbprint;
 *   `proof_key_mismatch`, `proof_algorithm_refused`, `proof_signature_invalid`
 */
export async function judgeCoseProof(
  presented: Extract<PresentedProof, { readonly kind: 'cose' }>,
  binding: KeyBinding,
  context: CoseProofContext,
): Promise<JudgedCose> {
  const { message, nonce } = presented;
  if (!isNonce(nonce)) throw new LatchkeyError('proof_malformed', 'nonce of another size');
  const proof = read(message);
  if ((proof.message.kind === 'mac0') !== (binding.kind === 'shared')) throw new LatchkeyError('proof_key_mismatch');
  const { key, coseKey } = keyOf(proof, binding, context.keys);
  const { tokenDigest, audience } = context;
  await verify(proof, { nonce, tokenDigest, audience, key: coseKey });
  const name = `${base64url(nonce)} ${base64url(tokenDigest)} ${audience}`;
  return { key, identifier: `cose ${binding.thumbprint ?? key?.thumbprint} ${name}` };
}

function read(message: Uint8Array): RelayProof {
  if (message.length > LIMITS.coseProofBytes) throw new LatchkeyError('proof_malformed', 'too long');
  try {
    return readRelayProof(message);
  } catch (error) {
    // Codes `cose_*` speak of tokens and messages; whoever reads the answer has to learn that the proof is meant.
    throw malformed(error);
  }
}

/** The key out of the token, or the one that the proof shows; where both are there, they are the same. */
function keyOf(
  { shownKey }: RelayProof,
  binding: KeyBinding,
  keys: ProofKeys,
): { readonly key: ProofKey | undefined; readonly coseKey: CoseKey } {
  if (binding.kind === 'shared') return { key: undefined, coseKey: binding.key };
  const key = shownKey === undefined ? binding.key : keys.findCose(shownKey);
  if (key === undefined) throw new LatchkeyError('proof_malformed', 'it shows no key, and the token has a thumbprint');
  if (binding.thumbprint !== undefined && key.thumbprint !== binding.thumbprint)
    throw new LatchkeyError('proof_key_mismatch');
  return { key, coseKey: key.coseKey };
}

async function verify(proof: RelayProof, options: Parameters<typeof verifyRelayProof>[1]): Promise<void> {
  try {
    await verifyRelayProof(proof, options);
  } catch (cause) {
    const { code } = coded(cause);
    if (code === 'cose_verification_failed') throw new LatchkeyError('proof_signature_invalid', undefined, { cause });
    if (code === 'cose_algorithm_refused') throw new LatchkeyError('proof_algorithm_refused', undefined, { cause });
    throw malformed(cause);
  }
}

function malformed(error: unknown): LatchkeyError {
  return new LatchkeyError('proof_malformed', coded(error).detail ?? coded(error).code, { cause: error });
}
