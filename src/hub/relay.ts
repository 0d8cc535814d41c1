/** What connected devices come for: whether a token is good, and whether it is its holder who shows it. */
import { bootId } from '../../drivers/boot-id.ts';
import { monotonic, systemRandom } from '../../drivers/system-time.ts';
import type { Config } from '../config/schema.ts';
import type { VerifiedToken } from '../core/verified-token.ts';
import type { Device } from '../devices/device.ts';
import { DeviceCredentials } from '../devices/device-credentials.ts';
import { ProtectedIntrospection } from '../flows/protected-introspection.ts';
import { RelayFlow } from '../flows/relay.ts';
import { TokenJudge } from '../flows/token-judge.ts';
import { DurableReplayWindow } from '../pop/durable-replay-window.ts';
import type { Introspector } from '../pop/introspection/introspector.ts';
import { ProofKeys } from '../pop/proof-keys.ts';
import type { DeviceAuthentication, Revocations } from '../ports/device-authentication.ts';
import type { Log } from '../ports/log.ts';
import type { Relay } from '../ports/relay.ts';
import type { Issuers } from '../trust/issuers.ts';
import { namesOf, signedClaimsReader } from './issuers.ts';
import type { State } from './state.ts';

export interface RelayParts {
  readonly relay: Relay;
  readonly devices: DeviceAuthentication;
  readonly revocations: Revocations;
  readonly introspection: ProtectedIntrospection;
  /** To be called when no proof can come any more, while the store is open. */
  close(): Promise<void>;
}

export async function openRelay(parts: {
  readonly config: Config;
  readonly state: State;
  readonly verify: (jwt: string, device: Device) => Promise<VerifiedToken>;
  readonly issuers: Issuers;
  readonly introspectors: readonly Introspector[];
  readonly log: Log;
}): Promise<RelayParts> {
  const { config, introspectors, issuers: policies, log, verify } = parts;
  const { audit, bindings, clock, registry, store } = parts.state;
  const { window } = config.dpop;
  const replay = await DurableReplayWindow.open({ store, bootId: bootId(), monotonic: monotonic(), window });
  const issuers = config.issuers.map(({ assumeAudience, introspection: policy, issuer, opaquePrefixes }) => ({
    issuer,
    policy,
    assumedAudience: assumeAudience,
    opaquePrefixes,
    kidIsThumbprint: policies.find(issuer)?.policy.confirmationKid === 'thumbprint',
    sharedAudience: policies.find(issuer)?.policy.sharedAudience,
    introspector: introspectors.find((introspector) => introspector.issuer === issuer),
  }));
  const relay = new RelayFlow({
    registry,
    tokens: new TokenJudge({
      issuers,
      verify,
      readSigned: signedClaimsReader(config, parts.state, policies),
      clock,
      names: namesOf(registry),
    }),
    replay,
    bindings,
    keys: new ProofKeys(),
    clock,
    random: systemRandom,
    audit,
    log,
    window,
  });
  return {
    relay,
    devices: new DeviceCredentials({ registry }),
    revocations: registry.revocations,
    introspection: new ProtectedIntrospection({ registry, relay, clock, random: systemRandom }),
    async close() {
      relay.close();
      await replay.close(monotonic());
    },
  };
}
