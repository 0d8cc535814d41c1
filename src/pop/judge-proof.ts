/** Whether whoever shows a token to a connected device is its holder. */
import type { KeyObject } from 'node:crypto';
import { base64url } from '../core/bytes.ts';
import type { TimeBounds } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { PresentedProof } from '../core/introspection.ts';
import type { JsonObject } from '../core/json.ts';
import { ANY_KEY, type Binding, bindingOf } from './binding.ts';
import { judgeCertificate } from './certificate-proof.ts';
import { judgeCoseProof } from './cose-proof.ts';
import type { DurableReplayWindow, ProofOwner } from './durable-replay-window.ts';
import type { ProofKey, ProofKeys } from './proof-keys.ts';
import { judgeRelayedDpop } from './relayed-dpop.ts';

export interface ProofContext {
  /** The `cnf` of the token, from the JWT or the introspection answer. */
  readonly confirmation: JsonObject | undefined;
  /** The confirmation came from the AS itself (introspection), so that a symmetric key in it is a secret. */
  readonly confidential: boolean;
  /** SHA-256 over the token as it came. 32 bytes. */
  readonly tokenDigest: Uint8Array;
  /** Id of the device that asks, and the `aud` that names it. */
  readonly device: string;
  readonly audience: string;
  readonly time: TimeBounds;
  /** Milliseconds of the monotonic clock. */
  readonly monotonic: number;
  /** Seconds by which `iat` may differ from the present, either way. The same as the replay window's. */
  readonly window: number;
  readonly replay: DurableReplayWindow;
  readonly keys: ProofKeys;
  /** The device takes tokens that are bound to no key. */
  readonly bearer: boolean;
  /** The device verifies DPoP proofs itself. A proof that it hands on all the same is judged here. */
  readonly checksProofs?: boolean;
  /** For a token without `cnf` that is bound to the key of its first presenter; undefined where it stays unbound. */
  readonly firstPresenter?: FirstPresenter | undefined;
}

/** What is known of the first presenter of one token (pop/token-bindings.ts). */
interface FirstPresenter {
  /** SHA-256 over what the issuer signed. 32 bytes. */
  readonly identity: Uint8Array;
  /** The thumbprint of the key that the token is bound to; undefined where it is bound to none. */
  readonly owner: () => string | undefined;
  readonly bind: (thumbprint: string) => Promise<void>;
}

/** The client key that was proven, as far as the hub knows it. */
export type HolderKey =
  | { readonly kind: 'public'; readonly jwk: JsonObject; readonly key: KeyObject }
  /** A secret that client and AS share; `nonce` is the device's, out of the proof. */
  | { readonly kind: 'shared'; readonly key: KeyObject; readonly nonce: Uint8Array };

export interface ProvenHolder {
  readonly kind: PresentedProof['kind'] | 'none';
  /**
   * Names the client's key (RFC 7638) or certificate, base64url; undefined for a bearer. Without a proof it is the key that the device
   * has to have proven.
   */
  readonly thumbprint: string | undefined;
  /** Undefined for a certificate, of which the hub sees the hash alone, and for a bearer. */
  readonly key: HolderKey | undefined;
}

const BEARER: ProvenHolder = { kind: 'none', thumbprint: undefined, key: undefined };

/**
 * Judges the proof that came with a token against the token's confirmation. Never cached: a proof serves once, and counts
 * as used only when all else about it is good, so that nobody can use it up for its owner. Resolves when a hub that is
 * killed would still know that it was used.
 *
 * A token without `cnf` is good without a proof, as RFC 7662 has it, for a device that takes such tokens. One that is to be bound to
 * its first presenter needs a proof of a public key. A device that verifies DPoP proofs itself is told the key.
 * @throws {LatchkeyError} a code `proof_*`; `confirmation_missing`, `confirmation_invalid`, `confirmation_unsupported`;
 *   `clock_unsure`; `token_bound_elsewhere` and what `bind` throws; errors of the store
 */
export async function judgeProof(presented: PresentedProof | undefined, context: ProofContext): Promise<ProvenHolder> {
  const { confirmation } = context;
  const firstPresenter = confirmation === undefined ? context.firstPresenter : undefined;
  if (confirmation === undefined && firstPresenter === undefined) return judgeUnbound(presented, context.bearer);
  const binding = confirmation === undefined ? ANY_KEY : bindingOf(confirmation, context);
  if (presented === undefined) return leftToDevice(binding, context);
  const { holder, identifier } = await judge(presented, binding, context);
  const owner = ownerOf(holder, firstPresenter);
  if (identifier !== undefined) {
    await context.replay.use(identifier, context.monotonic, { ...owner, device: context.device });
  }
  if (holder.thumbprint !== undefined) await firstPresenter?.bind(holder.thumbprint);
  return holder;
}

/**
 * Whose share of the replay window the proof takes. Where the token has no key yet, the presenter chooses the key, and could choose
 * one for each share. So the proof takes the share of the token.
 * @throws {LatchkeyError} `token_bound_elsewhere`: a copy of the token must not fill the window
 */
function ownerOf(
  { thumbprint }: ProvenHolder,
  firstPresenter: FirstPresenter | undefined,
): Pick<ProofOwner, 'key' | 'token'> {
  if (firstPresenter === undefined) return { key: thumbprint };
  const owner = firstPresenter.owner();
  if (owner === undefined) return { key: undefined, token: base64url(firstPresenter.identity) };
  if (owner !== thumbprint) throw new LatchkeyError('token_bound_elsewhere');
  return { key: owner };
}

/**
 * Without a proof, for a device that verifies DPoP proofs itself: the public key that the token is bound to, by its issuer or by the hub.
 * Other kinds of keys are not for DPoP.
 * @throws {LatchkeyError} `proof_missing`, also for a token that the hub has bound to no key yet: the proof is what it binds it by
 */
function leftToDevice(binding: Binding, { checksProofs = false, firstPresenter }: ProofContext): ProvenHolder {
  const thumbprint = binding.kind === 'public' ? (binding.thumbprint ?? firstPresenter?.owner()) : undefined;
  if (!checksProofs || thumbprint === undefined) throw new LatchkeyError('proof_missing');
  return { kind: 'none', thumbprint, key: undefined };
}

function judgeUnbound(presented: PresentedProof | undefined, bearer: boolean): ProvenHolder {
  if (!bearer) throw new LatchkeyError('confirmation_missing', 'cnf is missing');
  // A client that proves a key for a token that names none may believe that it is bound.
  if (presented !== undefined) throw new LatchkeyError('proof_key_mismatch', 'the token is bound to no key');
  return BEARER;
}

interface Judged {
  readonly holder: ProvenHolder;
  /** For the replay window. Undefined for a certificate: the handshake was fresh, and there is nothing to use twice. */
  readonly identifier: string | undefined;
}

async function judge(presented: PresentedProof, binding: Binding, context: ProofContext): Promise<Judged> {
  switch (presented.kind) {
    case 'dpop': {
      if (binding.kind !== 'public') throw otherKind(binding);
      const { key, identifier } = await judgeRelayedDpop(presented, {
        ...context,
        confirmationThumbprint: binding.thumbprint,
      });
      return { identifier, holder: publicHolder('dpop', key) };
    }
    case 'cose': {
      if (binding.kind === 'certificate') throw otherKind(binding);
      const { key, identifier } = await judgeCoseProof(presented, binding, context);
      return {
        identifier,
        holder: key === undefined ? sharedHolder(binding, presented.nonce) : publicHolder('cose', key),
      };
    }
    case 'certificate': {
      if (binding.kind !== 'certificate') throw otherKind(binding);
      judgeCertificate(presented, binding.thumbprint);
      const thumbprint = base64url(binding.thumbprint);
      return { identifier: undefined, holder: { kind: 'certificate', thumbprint, key: undefined } };
    }
  }
}

function publicHolder(kind: 'dpop' | 'cose', { thumbprint, jwk, coseKey }: ProofKey): ProvenHolder {
  return { kind, thumbprint, key: { kind: 'public', jwk, key: coseKey.key } };
}

function sharedHolder(binding: Binding, nonce: Uint8Array): ProvenHolder {
  if (binding.kind !== 'shared') throw otherKind(binding);
  return { kind: 'cose', thumbprint: binding.thumbprint, key: { kind: 'shared', key: binding.key.key, nonce } };
}

function otherKind({ kind }: Binding): LatchkeyError {
  return new LatchkeyError('proof_key_mismatch', `the token is bound to a ${kind} key`);
}
