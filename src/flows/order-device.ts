/**
 * An order of the hub to a device that it has paired, and the device's word that it was carried out (docs/protocol.md,
 * "Orders").
 */
import { codeText } from '../codec/coap/codes.ts';
import { checkOrderAnswer, type DeviceOrder, makeOrder, orderKey } from '../codec/device-order.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { decodeNonce, encodeNonce, PROVISION_NONCE_BYTES } from '../codec/provisioning.ts';
import type { Random } from '../core/clock.ts';
import type { CoapResponse } from '../core/coap-exchange.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { DeviceLink } from '../ports/device-link.ts';

export interface Attempt {
  /** Milliseconds for each request. */
  readonly deadline: number;
  readonly signal?: AbortSignal;
}

/** What an order is about, and goes by: the device carries it out at the resource of the same name. */
type OnceOrder = Extract<DeviceOrder, { operation: 'unpair' | 'identify' }>['operation'];

/**
 * An order that the device carries out once: a nonce that it gives for it is in it, so whoever recorded the order or held it
 * back has nothing by it later.
 * @throws {LatchkeyError} as `orderDevice`; `device_answer_invalid` for an answer without a nonce
 */
export async function orderOnce(
  device: Pick<Device, 'audience' | 'rootKey'>,
  operation: OnceOrder,
  means: Attempt & { readonly link: DeviceLink; readonly random: Pick<Random, 'bytes'> },
): Promise<void> {
  const { link, random, ...attempt } = means;
  const hub = random.bytes(PROVISION_NONCE_BYTES);
  const payload = encodeNonce(hub);
  const question = { method: COAP_METHOD.POST, path: [operation], contentFormat: CONTENT_FORMAT.cbor, payload };
  const answer = await link.request(question, attempt);
  const nonces = { hub, device: nonceIn(answer, link) };
  await orderDevice(device, { operation, nonces }, { link, path: operation, samePeer: true, ...attempt });
}

function nonceIn({ code, payload }: CoapResponse, link: DeviceLink): Uint8Array {
  try {
    if (code === COAP_CODE.created) return decodeNonce(payload);
  } catch (error) {
    link.proven?.(false);
    throw new LatchkeyError('device_answer_invalid', 'nonce', { cause: error });
  }
  // A device that was reset by hand says such a thing, and anybody else can.
  link.doubted?.();
  throw new LatchkeyError('device_answer_invalid', codeText(code));
}

/**
 * Resolves once the device has said, under its own key, that it did what it was told.
 * @throws {LatchkeyError} what the link throws; `device_answer_invalid` for a refusal, which anybody could have made up;
 *   `device_answer_untrusted` for an answer that is not the device's
 */
export async function orderDevice(
  { audience, rootKey }: Pick<Device, 'audience' | 'rootKey'>,
  order: DeviceOrder,
  means: Attempt & { readonly link: DeviceLink; readonly path: string; readonly samePeer?: boolean },
): Promise<void> {
  const { link, path, ...attempt } = means;
  const context = { key: orderKey(rootKey), audience };
  const payload = makeOrder(order, context);
  const request = { method: COAP_METHOD.POST, path: [path], contentFormat: CONTENT_FORMAT.coseMac0, payload };
  const answer = await link.request(request, attempt);
  if (answer.code !== COAP_CODE.changed) {
    link.doubted?.();
    throw new LatchkeyError('device_answer_invalid', codeText(answer.code));
  }
  try {
    checkOrderAnswer(answer.payload, payload, context);
  } catch (error) {
    link.proven?.(false);
    throw new LatchkeyError('device_answer_untrusted', order.operation, { cause: error });
  }
  link.proven?.(true);
}
