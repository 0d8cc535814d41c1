/** What clients come for: tokens for offline devices, and requests to them. */
import { monotonic, systemRandom } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import { presentedDigest, type VerifiedToken } from '../core/verified-token.ts';
import type { Delivery } from '../devices/delivery.ts';
import type { Device } from '../devices/device.ts';
import { wrapKeys } from '../devices/device-trust.ts';
import { hubKeysFor } from '../devices/wanted-trust.ts';
import { AskForHints } from '../flows/creation-hints.ts';
import { DeliverFlow, viewDelivery } from '../flows/deliver.ts';
import type { Dispatcher } from '../flows/dispatch.ts';
import { ProxyFlow } from '../flows/proxy.ts';
import { judgeDpopProof } from '../pop/dpop.ts';
import { DpopNonces } from '../pop/dpop-nonces.ts';
import { ProofKeys } from '../pop/proof-keys.ts';
import { ReplayWindow } from '../pop/replay-window.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Northbound } from '../ports/northbound.ts';
import { openConfirmationKey } from '../token/confirmation-key.ts';
import { translate } from '../token/translate.ts';
import type { State } from './state.ts';

/** Milliseconds that a device gets to say what token it wants, where clients are not to wait for deliveries at all. */
const SHORTEST_QUESTION = 1_000;

export function openNorthbound(parts: {
  readonly config: Config;
  readonly state: State;
  readonly verify: (jwt: string, device: Device) => Promise<VerifiedToken>;
  readonly dispatcher: Dispatcher;
  readonly link: (device: Device) => DeviceLink;
}): Northbound {
  const { config, dispatcher, link, verify } = parts;
  const { audit, bindings, clock, hubKeys, queue, registry, trust } = parts.state;
  const { window } = config.dpop;
  const nonces = new DpopNonces({ random: systemRandom });
  const keys = new ProofKeys();
  const replay = new ReplayWindow({ lifetime: Math.max(DpopNonces.lifetime, 2 * window * 1_000) });
  const configured = config.issuers.map(({ issuer }) => issuer);
  const issuersOf = (device: Device) => device.issuers ?? configured;
  const deliver = new DeliverFlow({
    registry,
    queue,
    dispatcher,
    random: systemRandom,
    verify,
    judgeProof: (presented, token, thumbprint) =>
      judgeDpopProof(presented.proof?.expose(), {
        method: presented.method,
        uris: presented.uris,
        accessTokenDigest: presentedDigest(token),
        tokenIdentity: token.identity,
        confirmationThumbprint: thumbprint,
        time: clock.now(),
        monotonic: monotonic(),
        window,
        nonces,
        replay,
        keys,
      }),
    bindings,
    openConfirmationKey: (token) => openConfirmationKey(token, hubKeys),
    translate: (token, device, holder) =>
      translate(token, {
        profile: device.profile,
        device: device.id,
        audience: device.audience,
        keys: wrapKeys(device, hubKeysFor(device, trust.of(device), hubKeys)),
        ...holder,
        random: systemRandom,
        time: clock.now(),
      }),
    hints: new AskForHints({
      link,
      random: systemRandom,
      issuersOf,
      timeout: Math.max(config.delivery.wait, SHORTEST_QUESTION),
    }),
    audit,
    wait: config.delivery.wait,
  });
  const view = (delivery: Delivery) => viewDelivery(delivery, dispatcher.difficulty(delivery.device));
  const proxy = new ProxyFlow({ registry, queue, link, clock, issuersOf, timeout: config.delivery.attemptTimeout });
  return {
    deliver: (device, presented, context) => deliver.deliver(device, presented, context),
    delivery: (id) => view(queue.get(id)),
    watchDelivery: (id, listener) => queue.watchers.watch(id, (delivery) => listener(view(delivery))),
    proxy: (request, context) => proxy.proxy(request, context),
    dpopNonce: () => nonces.current(monotonic()),
    publicKeys: (issuer) => hubKeys.publicJwks(issuer),
  };
}
