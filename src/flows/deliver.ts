/**
 * deliver: judge the token, judge who presents it, translate it for the device, queue it durably, wait a little for the
 * device. Reads top to bottom; each step is a function of its own layer that refuses with a code.
 */
import { jwkThumbprint } from '../codec/jwk-thumbprint.ts';
import { base64url, hex, sha256 } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import { UNREGISTERED } from '../core/device-id.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import { shown } from '../core/shown.ts';
import { toldToHolder, withheld } from '../core/told-to-holder.ts';
import { presentedDigest, type VerifiedToken } from '../core/verified-token.ts';
import type { Delivery } from '../devices/delivery.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import { type Device, takesTokens } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import { looksLikeJwt } from '../pop/introspection/token-form.ts';
import type { TokenBindings } from '../pop/token-bindings.ts';
import type { Difficulty } from '../ports/admin.ts';
import type { Audit, AuditEntry } from '../ports/audit.ts';
import {
  CnonceMissing,
  type CreationHintsView,
  type DeliveryView,
  type PresentedToken,
  type RequestContext,
} from '../ports/northbound.ts';
import type { ConfirmationKey } from '../token/confirmation-key.ts';
import type { TranslatedToken, TranslationContext } from '../token/translate.ts';
import type { AskForHints } from './creation-hints.ts';
import type { Dispatcher } from './dispatch.ts';
import { bindingOf, bindsToPresenter } from './first-presenter.ts';

export interface DeliverDependencies {
  readonly registry: Registry;
  readonly queue: DeliveryQueue;
  readonly dispatcher: Dispatcher;
  readonly random: Random;
  /** Signature, issuer (one of those that the device takes), audience and times of the JWT (trust/verify-jwt.ts). */
  readonly verify: (jwt: string, device: Device, peer?: string) => Promise<VerifiedToken>;
  /** The DPoP proof against the token's `cnf.jkt`, if it has one (pop/dpop.ts); the answer is the presenter's public key. */
  readonly judgeProof: (presented: PresentedToken, token: VerifiedToken, thumbprint: string | undefined) => JsonObject;
  /** Tokens that are bound to the key of their first presenter. */
  readonly bindings: Pick<TokenBindings, 'bind' | 'ownerOf'>;
  /** The symmetric key of a token that came encrypted (token/confirmation-key.ts). */
  readonly openConfirmationKey: (token: VerifiedToken) => Promise<ConfirmationKey | undefined>;
  readonly translate: (token: VerifiedToken, device: Device, holder: HolderKeys) => TranslatedToken;
  /** What a device without a clock says of the token that it wants. */
  readonly hints: Pick<AskForHints, 'of'>;
  readonly audit: Audit;
  /** Milliseconds to wait for the device before the answer is "queued". */
  readonly wait: number;
}

/** What the client holds, where the token does not hold it in the clear: keys shown by a DPoP proof, or decrypted. */
type HolderKeys = Pick<TranslationContext, 'proofKey' | 'confirmationKey' | 'bindsToPresenter'>;

/** What is known of a token by the time that it is refused or accepted. */
interface Judgement {
  token: VerifiedToken | undefined;
}

export class DeliverFlow {
  readonly #dependencies: DeliverDependencies;

  constructor(dependencies: DeliverDependencies) {
    this.#dependencies = dependencies;
  }

  async deliver(deviceId: string, presented: PresentedToken, context: RequestContext): Promise<DeliveryView> {
    const { audit, dispatcher } = this.#dependencies;
    const judgement: Judgement = { token: undefined };
    const named = this.#dependencies.registry.find(deviceId)?.id ?? UNREGISTERED;
    context.about?.({ device: named });
    const entry = () => auditEntry(named, presented, context, judgement.token);
    let queued: { readonly delivery: Delivery; readonly isNew: boolean };
    try {
      queued = await this.#accept(deviceId, presented, context, judgement);
    } catch (error) {
      audit.record({ ...entry(), verdict: 'refused', code: coded(error).code });
      if (isCoded(error, 'cnonce_missing')) throw new CnonceMissing(await this.#hints(deviceId, context));
      throw looksLikeJwt(presented.token.expose()) ? error : withheld(error);
    }
    const { delivery, isNew } = queued;
    audit.record({ ...entry(), verdict: isNew ? 'queued' : 'accepted', delivery: delivery.id });
    dispatcher.wake(delivery.device);
    const settled = await dispatcher.settled(delivery.id, this.#dependencies.wait);
    // The nonce in the token may have been too old: the client gets a new one without having to ask for it.
    const isStale = settled.deviceCode === '4.01' && settled.expiresIn !== undefined;
    const hints = isStale ? await this.#hints(deviceId, context) : undefined;
    const view = viewDelivery(settled, dispatcher.difficulty(settled.device));
    return { ...view, ...(hints === undefined ? {} : { creation_hints: hints }) };
  }

  /** Asked only for a client that holds a good token, so a stranger cannot make the device work. */
  async #hints(device: string, { log }: RequestContext): Promise<CreationHintsView | undefined> {
    const { hints, registry } = this.#dependencies;
    return hints.of(registry.get(device), log);
  }

  async #accept(
    deviceId: string,
    presented: PresentedToken,
    context: RequestContext,
    judgement: Judgement,
  ): Promise<{ readonly delivery: Delivery; readonly isNew: boolean }> {
    const device = this.#dependencies.registry.get(deviceId);
    if (!takesTokens(device)) throw new LatchkeyError('device_takes_no_tokens', device.id);
    const token = await this.#dependencies.verify(presented.token.expose(), device, context.peer);
    judgement.token = token;
    context.about?.({ device: device.id, issuer: token.issuer, digest: digestOf(token) });
    try {
      return await this.#acceptVerified(device, token, presented, context);
    } catch (error) {
      throw toldToHolder(error);
    }
  }

  async #acceptVerified(
    device: Device,
    token: VerifiedToken,
    presented: PresentedToken,
    context: RequestContext,
  ): Promise<{ readonly delivery: Delivery; readonly isNew: boolean }> {
    const { registry, queue } = this.#dependencies;
    const toBeBound = bindsToPresenter(device, token);
    const proofKey = toBeBound ? this.#judgePresenter(presented, token) : this.#checkHolder(presented, token);
    const confirmationKey = await this.#dependencies.openConfirmationKey(token);
    const holder = { proofKey, confirmationKey, bindsToPresenter: toBeBound };
    const translated = this.#dependencies.translate(token, device, holder);
    if (toBeBound && proofKey !== undefined) {
      await this.#dependencies.bindings.bind(bindingOf(token, jwkThumbprint(proofKey)));
    }
    // While keys were fetched or a key was decrypted, the device may have been removed, or registered anew under another key.
    if (registry.get(device.id).rootKey !== device.rootKey) throw new LatchkeyError('device_unknown', device.id);
    const id = hex(this.#dependencies.random.bytes(16));
    const delivery = await queue.add({
      id,
      device: device.id,
      audience: device.audience,
      // A copy of its own: what waits for a month must not hold the pool that it was made in.
      cwt: new Secret(Uint8Array.from(translated.cwt.expose())),
      hubKey: translated.hubKey,
      tokenHash: translated.tokenHash,
      cti: translated.cti,
      expiresAt: translated.expiresAt,
      expiresIn: translated.expiresIn,
      scope: translated.scope.join(' '),
      jwtBytes: token.envelope?.bytes ?? token.bytes,
      cwtBytes: translated.cwt.expose().length,
      keysAge: Math.ceil(token.freshness.keysAge),
      clock: token.freshness.clock,
      request: context.id,
      origin: { issuer: token.issuer, subject: token.subject, digest: presentedDigest(token) },
    });
    const isNew = delivery.id === id;
    context.log.info(
      {
        event: isNew ? 'delivery_queued' : 'delivery_known',
        device: device.id,
        delivery: delivery.id,
        token_hash: base64url(delivery.tokenHash),
        digest: digestOf(token),
        issuer: token.issuer,
      },
      isNew ? 'the token is good and queued for its device' : 'the token is good and waits already',
    );
    return { delivery, isNew };
  }

  /** A token that is bound to its presenter needs a proof of a key, in either scheme: for its issuer it is a Bearer token. */
  #judgePresenter(presented: PresentedToken, token: VerifiedToken): JsonObject {
    if (presented.proof === undefined) throw new LatchkeyError('proof_missing');
    const owner = this.#dependencies.bindings.ownerOf(token.identity);
    try {
      return this.#dependencies.judgeProof(presented, token, owner);
    } catch (error) {
      // Said before the proof takes room in the replay window: a copy of the token must not fill it.
      if (owner !== undefined && isCoded(error, 'proof_key_mismatch')) throw new LatchkeyError('token_bound_elsewhere');
      throw error;
    }
  }

  /**
   * A token bound by `jkt` needs the proof of that key. A proof that comes with any other token is refused rather than
   * passed over: its sender believes that it was checked.
   */
  #checkHolder(presented: PresentedToken, token: VerifiedToken): JsonObject | undefined {
    const thumbprint = token.confirmation?.jkt;
    if (thumbprint === undefined) {
      // Said of the token rather than of the proof: no other key would help.
      if (token.confirmation === undefined) {
        throw token.audience.length > 1
          ? new LatchkeyError('audience_ambiguous', `aud is ${shown([...token.audience])}, and cnf is missing`)
          : new LatchkeyError('confirmation_missing', 'cnf is missing');
      }
      if (presented.scheme === 'DPoP' || presented.proof !== undefined)
        throw new LatchkeyError(
          'proof_key_mismatch',
          `a DPoP proof, and ${membersOf(token.confirmation)}, expected "jkt"`,
        );
      return undefined;
    }
    if (typeof thumbprint !== 'string') throw new LatchkeyError('confirmation_invalid', 'jkt');
    // RFC 9449 §7.2: a DPoP-bound token sent as Bearer is refused.
    if (presented.scheme !== 'DPoP' || presented.proof === undefined) {
      const proof = presented.proof === undefined ? 'no DPoP header' : 'a DPoP header';
      throw new LatchkeyError('proof_missing', `the scheme is ${presented.scheme} with ${proof}, and cnf has jkt`);
    }
    return this.#dependencies.judgeProof(presented, token, thumbprint);
  }
}

/** How a token is named in the log. */
function digestOf(token: VerifiedToken): string {
  return base64url(presentedDigest(token).subarray(0, 8));
}

function membersOf(confirmation: JsonObject): string {
  return `cnf has ${shown(Object.keys(confirmation))}`;
}

/** Issuer and subject of a token that was verified; of any other one its hash alone. */
function auditEntry(
  device: string,
  presented: PresentedToken,
  context: RequestContext,
  token: VerifiedToken | undefined,
): Omit<AuditEntry, 'verdict'> {
  const facts: Partial<AuditEntry> =
    token === undefined
      ? { token: sha256(presented.token.expose()) }
      : {
          token: presentedDigest(token),
          issuer: token.issuer,
          subject: token.subject,
          freshness: { source: 'jwt', age: Math.ceil(token.freshness.keysAge), stale: false },
        };
  const proof = presented.proof === undefined ? 'none' : 'dpop';
  return { kind: 'deliver', device, request: context.id, proof, ...facts };
}

/** @param difficulty of its device: what a client learns of it is that the device is full */
export function viewDelivery(delivery: Delivery, difficulty?: Difficulty): DeliveryView {
  const isForRoom = delivery.state === 'queued' && difficulty?.code === 'device_full';
  const code = isForRoom ? difficulty.code : delivery.code;
  return {
    delivery: delivery.id,
    state: delivery.state,
    device: delivery.device,
    audience: delivery.audience,
    token_hash: base64url(delivery.tokenHash),
    cti: hex(delivery.cti),
    expires_at: delivery.expiresAt,
    scope: delivery.scope,
    ...(delivery.deviceCode === undefined ? {} : { device_code: delivery.deviceCode }),
    ...(code === undefined ? {} : { code }),
    ...(delivery.state === 'delivered' ? { receipt: delivery.receipt } : {}),
    bytes: { jwt: delivery.jwtBytes, cwt: delivery.cwtBytes },
    freshness: { keys_age: delivery.keysAge, clock: delivery.clock },
  };
}
