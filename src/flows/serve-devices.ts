/** What devices may ask of the hub over a link of theirs: POST /introspect and GET /time. One handler for each link. */
import { hex } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import type { CoapRequest, CoapResponse } from '../core/coap-exchange.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { Log } from '../ports/log.ts';
import { introspectOverCoap } from './introspect-coap.ts';
import type { ProtectedIntrospection } from './protected-introspection.ts';
import type { TellTime } from './tell-time.ts';

export interface ServeDevicesOptions {
  /** Whether this device may speak over this link: it is the one that it is registered on. */
  readonly isExpected: (device: Device) => boolean;
  readonly introspection: ProtectedIntrospection;
  readonly time: TellTime;
  readonly random: Random;
  /** Names the link in its lines. */
  readonly log: Log;
}

/** What the handler throws becomes a bare CoAP code by the catalogue, so nobody on the link learns more than that. */
export function serveDevices(options: ServeDevicesOptions): (request: CoapRequest) => Promise<CoapResponse> {
  const { introspection, isExpected, log, random, time } = options;
  return async (request) => {
    const id = hex(random.bytes(8));
    const context = { id, log: log.child({ request: id }) };
    switch (request.path.join('/')) {
      case 'introspect':
        return introspectOverCoap(request, { introspection, isExpected, context });
      case 'time':
        return time.answer(request, isExpected, context.log);
      default:
        throw new LatchkeyError('not_found');
    }
  };
}
