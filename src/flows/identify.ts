/** identify: makes a device show a person which one it is, by a light or whatever it has. */
import { codeText } from '../codec/coap/codes.ts';
import { COAP_CODE, COAP_METHOD } from '../codec/iana.ts';
import type { Random } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import { type Attempt, orderOnce } from './order-device.ts';

/**
 * A device that nobody has paired does it for anybody.
 * @throws {LatchkeyError} what the link throws, `device_answer_invalid`
 */
export async function identifyCandidate(link: DeviceLink, attempt: Attempt): Promise<void> {
  const answer = await link.request({ method: COAP_METHOD.POST, path: ['identify'] }, attempt);
  if (answer.code !== COAP_CODE.changed) throw new LatchkeyError('device_answer_invalid', codeText(answer.code));
}

/**
 * A paired one does it for its hub, and not twice for one order.
 * @throws {LatchkeyError} what the link throws, `device_answer_invalid`, `device_answer_untrusted`
 */
export async function identifyDevice(
  device: Device,
  means: Attempt & { readonly link: DeviceLink; readonly random: Pick<Random, 'bytes'> },
): Promise<void> {
  await orderOnce(device, 'identify', means);
}
