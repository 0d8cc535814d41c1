/** unpair: the device gives up what it trusts, and the hub forgets it. Its setup code stays dead until a reset by hand. */
import { hex } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import type { ErrorCode } from '../core/error-catalogue.ts';
import { coded, LatchkeyError } from '../core/errors.ts';
import { type Device, takesTokens } from '../devices/device.ts';
import type { Registry } from '../devices/registry.ts';
import type { Unpaired } from '../ports/admin.ts';
import type { Audit } from '../ports/audit.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import type { RemovalRecord } from './administer.ts';
import type { FinishPairing } from './finish-pairing.ts';
import { orderOnce } from './order-device.ts';

export interface UnpairDependencies {
  readonly registry: Registry;
  /** @throws {LatchkeyError} `link_unconfigured`, `admin_unreachable` where no hub runs */
  readonly link: (device: Device) => DeviceLink;
  readonly finish: FinishPairing;
  /** Forgets a device, its keys and its tokens, on record (flows/administer.ts). */
  readonly remove: (id: string, record: RemovalRecord) => Promise<void>;
  readonly random: Random;
  readonly audit: Audit;
  readonly log: Log;
  /** Milliseconds for one request to a device. */
  readonly attemptTimeout: number;
}

export class UnpairFlow {
  readonly #dependencies: UnpairDependencies;

  constructor(dependencies: UnpairDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * @param options.force forget the device even if it does not say that it gave up what it trusts: then it trusts this hub
   *   until somebody resets it by hand
   * @throws {LatchkeyError} `device_unknown`, `device_takes_no_tokens`, what a link throws, `device_answer_invalid`,
   *   `device_answer_untrusted`
   */
  async unpair(id: string, { force }: { readonly force: boolean }): Promise<Unpaired> {
    const { audit, log, random, registry, remove } = this.#dependencies;
    const device = registry.get(id);
    if (!takesTokens(device)) throw new LatchkeyError('device_takes_no_tokens', id);
    const request = hex(random.bytes(8));
    let code: ErrorCode | undefined;
    try {
      await this.#tell(device);
    } catch (error) {
      code = coded(error).code;
      const { detail } = coded(error);
      log.warn(
        { event: 'unpairing_failed', device: id, request, code, detail },
        'the device did not say that it is unpaired',
      );
      if (!force) {
        audit.record({ kind: 'unpair', verdict: 'refused', device: id, request, code });
        throw error;
      }
    }
    await remove(id, { verdict: code === undefined ? 'unpaired' : 'removed', request, code });
    log.info({ event: 'device_unpaired', device: id, request, code }, 'a device is unpaired');
    return code === undefined ? {} : { code };
  }

  async #tell(device: Device): Promise<void> {
    const { attemptTimeout: deadline, finish, link, random } = this.#dependencies;
    // What it does not use yet it cannot give up.
    await finish.run(device, { deadline });
    await orderOnce(device, 'unpair', { link: link(device), random, deadline });
  }
}
