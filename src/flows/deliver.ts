/**
 * deliver: judge the token, judge who presents it, translate it for the device, queue it durably, wait a little for the
 * device. Reads top to bottom; each step is a function of its own layer that refuses with a code.
 */
import { base64url, hex, sha256 } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import { UNREGISTERED } from '../core/device-id.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { Secret } from '../core/secret.ts';
import { presentedDigest, type VerifiedToken } from '../core/verified-token.ts';
import type { Delivery } from '../devices/delivery.ts';
import type { DeliveryQueue } from '../devices/delivery-queue.ts';
import { type Device, takesTokens } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import type { Audit, AuditEntry } from '../ports/audit.ts';
import {
  CnonceMissing,
  type CreationHintsView,
  type DeliveryView,
  type PresentedToken,
  type RequestContext,
} from '../ports/northbound.ts';
import type { ConfirmationKey } from '../token/confirmation-key.ts';
import type { TranslatedToken } from '../token/translate.ts';
import type { AskForHints } from './creation-hints.ts';
import type { Dispatcher } from './dispatch.ts';

export interface DeliverDependencies {
  readonly registry: Registry;
  readonly queue: DeliveryQueue;
  readonly dispatcher: Dispatcher;
  readonly random: Random;
  /** Signature, issuer (one of those that the device takes), audience and times of the JWT (trust/verify-jwt.ts). */
  readonly verify: (jwt: string, device: Device) => Promise<VerifiedToken>;
  /** The DPoP proof against the token's `cnf.jkt` (pop/dpop.ts); the answer is the presenter's public key. */
  readonly judgeProof: (presented: PresentedToken, token: VerifiedToken, thumbprint: string) => JsonObject;
  /** The symmetric key of a token that came encrypted (token/confirmation-key.ts). */
  readonly openConfirmationKey: (token: VerifiedToken) => Promise<ConfirmationKey | undefined>;
  readonly translate: (token: VerifiedToken, device: Device, keys: HolderKeys) => TranslatedToken;
  /** What a device without a clock says of the token that it wants. */
  readonly hints: Pick<AskForHints, 'of'>;
  readonly audit: Audit;
  /** Milliseconds to wait for the device before the answer is "queued". */
  readonly wait: number;
}

/** Keys that the client has, where the token does not hold them in the clear. */
interface HolderKeys {
  /** Shown by a DPoP proof. */
  readonly proofKey: JsonObject | undefined;
  readonly confirmationKey: ConfirmationKey | undefined;
}

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
    const entry = () => auditEntry(named, presented, context, judgement.token);
    let queued: { readonly delivery: Delivery; readonly isNew: boolean };
    try {
      queued = await this.#accept(deviceId, presented, context, judgement);
    } catch (error) {
      audit.record({ ...entry(), verdict: 'refused', code: coded(error).code });
      throw isCoded(error, 'cnonce_missing') ? new CnonceMissing(await this.#hints(deviceId, context)) : error;
    }
    const { delivery, isNew } = queued;
    audit.record({ ...entry(), verdict: isNew ? 'queued' : 'accepted', delivery: delivery.id });
    dispatcher.wake(delivery.device);
    const settled = await dispatcher.settled(delivery.id, this.#dependencies.wait);
    // The nonce in the token may have been too old: the client gets a new one without having to ask for it.
    const isStale = settled.deviceCode === '4.01' && settled.expiresIn !== undefined;
    const hints = isStale ? await this.#hints(deviceId, context) : undefined;
    return { ...viewDelivery(settled), ...(hints === undefined ? {} : { creation_hints: hints }) };
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
    const { registry, queue } = this.#dependencies;
    const device = registry.get(deviceId);
    if (!takesTokens(device)) throw new LatchkeyError('device_takes_no_tokens', device.id);
    const token = await this.#dependencies.verify(presented.token.expose(), device);
    judgement.token = token;
    const proofKey = this.#checkHolder(presented, token);
    const confirmationKey = await this.#dependencies.openConfirmationKey(token);
    const translated = this.#dependencies.translate(token, device, { proofKey, confirmationKey });
    // While keys were fetched or a key was decrypted, the device may have been removed, or registered anew under another key.
    if (registry.get(deviceId).rootKey !== device.rootKey) throw new LatchkeyError('device_unknown', deviceId);
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
      origin: { issuer: token.issuer, subject: token.subject, digest: token.digest },
    });
    const isNew = delivery.id === id;
    context.log.info(
      {
        event: isNew ? 'delivery_queued' : 'delivery_known',
        device: device.id,
        delivery: delivery.id,
        token_hash: base64url(delivery.tokenHash),
        digest: base64url(token.digest.subarray(0, 8)),
        issuer: token.issuer,
      },
      isNew ? 'the token is good and queued for its device' : 'the token is good and waits already',
    );
    return { delivery, isNew };
  }

  /**
   * A token bound by `jkt` needs the proof of that key. A proof that comes with any other token is refused rather than
   * passed over: its sender believes that it was checked.
   */
  #checkHolder(presented: PresentedToken, token: VerifiedToken): JsonObject | undefined {
    const thumbprint = token.confirmation?.jkt;
    if (thumbprint === undefined) {
      if (presented.scheme === 'DPoP' || presented.proof !== undefined)
        throw new LatchkeyError('proof_key_mismatch', 'the token has no jkt');
      return undefined;
    }
    if (typeof thumbprint !== 'string') throw new LatchkeyError('confirmation_invalid', 'jkt');
    // RFC 9449 §7.2: a DPoP-bound token sent as Bearer is refused.
    if (presented.scheme !== 'DPoP' || presented.proof === undefined) throw new LatchkeyError('proof_missing');
    return this.#dependencies.judgeProof(presented, token, thumbprint);
  }
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

export function viewDelivery(delivery: Delivery): DeliveryView {
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
    ...(delivery.code === undefined ? {} : { code: delivery.code }),
    ...(delivery.state === 'delivered' ? { receipt: delivery.receipt } : {}),
    bytes: { jwt: delivery.jwtBytes, cwt: delivery.cwtBytes },
    freshness: { keys_age: delivery.keysAge, clock: delivery.clock },
  };
}
