/**
 * pair: in a window that an operator opened, with the setup code of the device's label. Device and hub prove it to each
 * other, the device keeps what it is to trust, the hub registers the device, and tells it to use that. Until the hub has
 * registered it, both are as before; after that the hub goes on until the device has said that it does.
 */
import type { DeviceTrust } from '../codec/device-trust-map.ts';
import { readSetupCode, type SetupCode } from '../codec/setup-code.ts';
import { hex } from '../core/bytes.ts';
import type { Clock, Timers } from '../core/clock.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import { LIMITS } from '../core/limits.ts';
import type { Device } from '../devices/device.ts';
import { type HubSigningKeys, trustOf } from '../devices/device-trust.ts';
import type { Registry } from '../devices/registry.ts';
import type { DeviceView } from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';
import type { Log } from '../ports/log.ts';
import type {
  PairCandidate,
  PairedDevice,
  Pairing,
  PairingView,
  PairRequest,
  PairTargets,
  WindowRequest,
} from '../ports/pairing.ts';
import { firstToProve } from './among-rivals.ts';
import { checkDraft, type DeviceToPair, deviceToPair, permitsSomething } from './device-to-pair.ts';
import type { FinishPairing } from './finish-pairing.ts';
import { identifyCandidate } from './identify.ts';
import type { NewDeviceSurroundings } from './new-device.ts';
import { checkPlaces, PairingWindow } from './pairing-window.ts';
import { provisionDevice } from './provision.ts';
import type { RefreshTrust } from './refresh-trust.ts';

export interface PairDependencies extends NewDeviceSurroundings {
  readonly registry: Registry;
  readonly hubKeys: HubSigningKeys;
  readonly targets: readonly PairTargets[];
  readonly trust: Pick<RefreshTrust, 'issuersOf' | 'provisioned'>;
  readonly finish: FinishPairing;
  /** Begins to finish what is unfinished (flows/dispatch.ts). */
  readonly wake: (device: string) => void;
  /** Forgets tokens that were made for the key of an earlier attempt. */
  readonly dropDeliveries: (device: string) => Promise<void>;
  readonly view: (device: Device) => DeviceView;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly audit: Audit;
  readonly log: Log;
  /** Milliseconds for one request to a device. */
  readonly attemptTimeout: number;
}

/**
 * Another one of several that answer to a name is begun with within the time of so many requests, so that an answer comes
 * before the operator's command gives up.
 */
const RIVALS_ATTEMPTS = 2;

type Label = Omit<SetupCode, 'secret'>;

interface Chosen extends DeviceToPair {
  readonly candidate: PairCandidate;
}

export class PairFlow implements Pairing {
  readonly #dependencies: PairDependencies;
  #window: PairingWindow | undefined;
  #isPairing = false;

  constructor(dependencies: PairDependencies) {
    this.#dependencies = dependencies;
  }

  async open({ device, medium, name, seconds }: WindowRequest): Promise<PairingView> {
    const { clock, log, targets, timers } = this.#dependencies;
    if (!Number.isInteger(seconds) || seconds < 1 || seconds > LIMITS.pairingWindowSeconds)
      throw new LatchkeyError('request_invalid', `a window is open for 1 to ${LIMITS.pairingWindowSeconds} seconds`);
    if (this.#window?.isOpen === true) throw new LatchkeyError('pairing_window_open');
    checkPlaces({ targets, medium, name });
    if (device !== undefined) checkDraft(device, this.#dependencies);
    const onClosed = (why: string) => log.info({ event: 'pairing_window_closed', why }, 'devices are paired no more');
    const milliseconds = seconds * 1_000;
    const expected = device?.id;
    this.#window = new PairingWindow({ targets, milliseconds, medium, name, expected, clock, timers, onClosed });
    log.info({ event: 'pairing_window_open', seconds }, 'devices can be paired');
    return this.#window.view();
  }

  async view(): Promise<PairingView> {
    return this.#open().view();
  }

  /** With the hub, too: what is under way ends by itself. */
  async close(): Promise<void> {
    this.#window?.close('operator');
  }

  async identify(candidate: string): Promise<void> {
    const { link } = this.#open().candidate(candidate);
    await identifyCandidate(link, { deadline: this.#dependencies.attemptTimeout });
  }

  async pair(request: PairRequest): Promise<PairedDevice> {
    const window = this.#open();
    if (this.#isPairing) throw new LatchkeyError('pairing_busy');
    this.#isPairing = true;
    try {
      return await this.#pair(request, window);
    } finally {
      this.#isPairing = false;
    }
  }

  async #pair(request: PairRequest, window: PairingWindow): Promise<PairedDevice> {
    const { attemptTimeout, audit, clock, log, random, wake } = this.#dependencies;
    const lastBegin = clock.monotonic() + RIVALS_ATTEMPTS * attemptTimeout;
    const { secret, ...label } = readSetupCode(request.code.expose());
    const chosen = this.#choose(request, label, window);
    const id = hex(random.bytes(8));
    const attempt = { device: chosen.device.id, request: id };
    log.info({ event: 'pairing', ...attempt, candidate: chosen.candidate.name }, 'a device is being paired');
    // The device may use already what an earlier attempt sent it, and only its word for that was lost.
    if (chosen.earlier !== undefined && (await this.#finish(chosen.earlier)) === undefined)
      return { device: this.#view(chosen.earlier.id), state: 'paired' };
    const { link } = chosen.candidate;
    link.askAnew?.();
    const rivals = () => window.rivalsOf(chosen.candidate);
    try {
      const device = await firstToProve({
        link,
        rivals,
        mayGoOn: () => clock.monotonic() < lastBegin,
        ask: () => this.#provision(chosen, secret, id),
        onFailure: (error) => {
          const { code, detail } = coded(error);
          audit.record({ kind: 'pair', verdict: 'refused', ...attempt, code });
          log.warn({ event: 'pairing_failed', ...attempt, code, detail }, 'the peer that was asked was not paired');
        },
      });
      const reason = await this.#finish(device);
      if (reason === undefined) return { device: this.#view(device.id), state: 'paired' };
      wake(device.id);
      return { device: this.#view(device.id), state: 'unfinished', reason };
    } catch (error) {
      // Where several answer to the name one may be an impostor, who must not be able to close the window.
      if (!isCoded(error, 'setup_code_refused') || rivals() > 0 || !window.countWrongCode()) throw error;
      const spent = new LatchkeyError('pairing_attempts_spent');
      audit.record({ kind: 'pair', verdict: 'refused', ...attempt, code: spent.code });
      throw spent;
    }
  }

  /** All that can be wrong without the device is found before it is asked. */
  #choose(request: PairRequest, label: Label, window: PairingWindow): Chosen {
    const { candidate: key, code: _, id = label.id, ...asked } = request;
    const candidate = key === undefined ? window.likelyCandidate(id) : window.candidate(key);
    // What an operator says of the device goes before what its label says.
    const profileName = asked.profileName ?? (permitsSomething(asked.profile) ? undefined : label.profile);
    return { candidate, ...deviceToPair({ ...asked, id, profileName }, candidate, this.#dependencies) };
  }

  async #provision(
    { candidate, device, earlier }: Chosen,
    setup: ReturnType<typeof readSetupCode>['secret'],
    request: string,
  ): Promise<Device> {
    const { attemptTimeout, clock, hubKeys, random, trust: records } = this.#dependencies;
    const { latest } = clock.now();
    const time = latest === undefined ? undefined : Math.floor(latest);
    const trust = trustOf(device, hubKeys, { issuers: records.issuersOf(device), time });
    const provisioned = { trust, rootKey: device.rootKey };
    const { link } = candidate;
    const nonces = await provisionDevice({ link, random, setup, provisioned, deadline: attemptTimeout });
    return this.#register({ ...device, pairing: { nonces, request } }, trust, earlier);
  }

  /** The device with what it was sent, together: from now on it may trust that. */
  async #register(device: Device, trust: DeviceTrust, earlier: Device | undefined): Promise<Device> {
    const { dropDeliveries, registry, trust: records } = this.#dependencies;
    const { change, undo } = records.provisioned(device, trust);
    try {
      if (earlier === undefined) await registry.add(device, [change]);
      else await registry.update(earlier, device, [change]);
    } catch (error) {
      undo();
      throw error;
    }
    if (earlier !== undefined) {
      await dropDeliveries(device.id);
      await registry.forgetRemoved();
    }
    return device;
  }

  /** One attempt at the last step. @returns what went wrong in it: that leaves the pairing unfinished, and is tried again */
  async #finish({ id }: Device): Promise<PairedDevice['reason']> {
    const { attemptTimeout, finish, log, registry } = this.#dependencies;
    try {
      await finish.run(registry.get(id), { deadline: attemptTimeout });
      return undefined;
    } catch (error) {
      const { code, detail } = coded(error);
      log.info({ event: 'pairing_unfinished', device: id, code, detail }, 'the device did not say that it is paired');
      return { code, detail };
    }
  }

  #view(id: string): DeviceView {
    return this.#dependencies.view(this.#dependencies.registry.get(id));
  }

  #open(): PairingWindow {
    if (this.#window?.isOpen !== true) throw new LatchkeyError('pairing_window_closed');
    return this.#window;
  }
}
