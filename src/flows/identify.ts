/** identify: makes a device show a person which one it is, by a light or whatever it has. */
import { codeText } from '../codec/coap/codes.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { decodeNonce, encodeNonce, PROVISION_NONCE_BYTES } from '../codec/provisioning.ts';
import type { Random } from '../core/clock.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import { type Attempt, orderDevice } from './order-device.ts';

const PATH = 'identify';

/**
 * A device that nobody has paired does it for anybody.
 * @throws {LatchkeyError} what the link throws, `device_answer_invalid`
 */
export async function identifyCandidate(link: DeviceLink, attempt: Attempt): Promise<void> {
  const answer = await link.request({ method: COAP_METHOD.POST, path: [PATH] }, attempt);
  if (answer.code !== COAP_CODE.changed) throw new LatchkeyError('device_answer_invalid', codeText(answer.code));
}

/**
 * A paired one does it for its hub, and not twice for one order: its nonce is in it.
 * @throws {LatchkeyError} what the link throws, `device_answer_invalid`, `device_answer_untrusted`, `cbor_*`, `provisioning_invalid`
 */
export async function identifyDevice(
  device: Device,
  { link, random, ...attempt }: Attempt & { readonly link: DeviceLink; readonly random: Pick<Random, 'bytes'> },
): Promise<void> {
  const hub = random.bytes(PROVISION_NONCE_BYTES);
  const payload = encodeNonce(hub);
  const question = { method: COAP_METHOD.POST, path: [PATH], contentFormat: CONTENT_FORMAT.cbor, payload };
  const answer = await link.request(question, attempt);
  if (answer.code !== COAP_CODE.created) throw new LatchkeyError('device_answer_invalid', codeText(answer.code));
  const nonces = { hub, device: decodeNonce(answer.payload) };
  await orderDevice(device, { operation: 'identify', nonces }, { link, path: PATH, ...attempt });
}
