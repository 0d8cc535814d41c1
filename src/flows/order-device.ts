/** An order of the hub to a device that it has paired, and the device's word that it was carried out. */
import { codeText } from '../codec/coap/codes.ts';
import { checkOrderAnswer, type DeviceOrder, makeOrder, orderKey } from '../codec/device-order.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { DeviceLink } from '../ports/device-link.ts';

export interface Attempt {
  /** Milliseconds for each request. */
  readonly deadline: number;
  readonly signal?: AbortSignal;
}

/**
 * Resolves once the device has said, under its own key, that it did what it was told.
 * @throws {LatchkeyError} what the link throws; `device_answer_invalid` for a refusal, which anybody could have made up;
 *   `device_answer_untrusted` for an answer that is not the device's
 */
export async function orderDevice(
  { audience, rootKey }: Pick<Device, 'audience' | 'rootKey'>,
  order: DeviceOrder,
  { link, path, ...attempt }: Attempt & { readonly link: DeviceLink; readonly path: string },
): Promise<void> {
  const context = { key: orderKey(rootKey), audience };
  const payload = makeOrder(order, context);
  const request = { method: COAP_METHOD.POST, path: [path], contentFormat: CONTENT_FORMAT.coseMac0, payload };
  const answer = await link.request(request, attempt);
  if (answer.code !== COAP_CODE.changed) {
    link.proven?.(false);
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
