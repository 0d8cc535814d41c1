/** The first two steps of a pairing: nonces, and what the device is to trust. The device changes nothing by them yet. */
import { codeText } from '../codec/coap/codes.ts';
import type { ProvisionedTrust } from '../codec/device-trust-map.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import {
  checkConfirmation,
  decodeNonce,
  encodeNonce,
  PROVISION_NONCE_BYTES,
  type ProvisionNonces,
  sealProvisionedTrust,
} from '../codec/provisioning.ts';
import type { Random } from '../core/clock.ts';
import type { CoapResponse } from '../core/coap-exchange.ts';
import { LatchkeyError } from '../core/errors.ts';
import type { Secret } from '../core/secret.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Attempt } from './order-device.ts';

interface Provisioning extends Attempt {
  readonly link: DeviceLink;
  readonly random: Pick<Random, 'bytes'>;
  /** The secret of the setup code. */
  readonly setup: Secret<Uint8Array>;
  readonly provisioned: ProvisionedTrust;
}

/**
 * Resolves once the device has shown that it knows the setup code, and that it keeps what it was sent.
 * @throws {LatchkeyError} what the link throws; `setup_code_dead`; `setup_code_refused` where hub and device do not have one
 *   code, whichever of them is wrong; `device_not_pairable`, `device_refused_profile`, `device_answer_invalid`
 */
export async function provisionDevice(provisioning: Provisioning): Promise<ProvisionNonces> {
  const { deadline, link, provisioned, random, setup, signal } = provisioning;
  const ask = (contentFormat: number, payload: Uint8Array, samePeer: boolean) =>
    link.request(
      { method: COAP_METHOD.POST, path: ['provision'], contentFormat, payload },
      { deadline, samePeer, ...(signal === undefined ? {} : { signal }) },
    );
  const hub = random.bytes(PROVISION_NONCE_BYTES);
  const nonces = { hub, device: nonceIn(await ask(CONTENT_FORMAT.cbor, encodeNonce(hub), false)) };
  const sealed = sealProvisionedTrust(provisioned, { setup, nonces });
  judge(await ask(CONTENT_FORMAT.coseEncrypt0, sealed, true), provisioned, { setup, nonces });
  link.proven?.(true);
  return nonces;
}

function nonceIn({ code, payload }: CoapResponse): Uint8Array {
  switch (code) {
    case COAP_CODE.created:
      return decodedNonce(payload);
    case COAP_CODE.forbidden:
      throw new LatchkeyError('setup_code_dead');
    case COAP_CODE.notFound:
      throw new LatchkeyError('device_not_pairable');
    default:
      throw new LatchkeyError('device_answer_invalid', codeText(code));
  }
}

function decodedNonce(payload: Uint8Array): Uint8Array {
  try {
    return decodeNonce(payload);
  } catch (error) {
    throw new LatchkeyError('device_answer_invalid', 'nonce', { cause: error });
  }
}

function judge(
  { code, payload }: CoapResponse,
  provisioned: ProvisionedTrust,
  exchange: { readonly setup: Secret<Uint8Array>; readonly nonces: ProvisionNonces },
): void {
  switch (code) {
    case COAP_CODE.changed:
      break;
    case COAP_CODE.unauthorized:
      throw new LatchkeyError('setup_code_refused');
    case COAP_CODE.forbidden:
      throw new LatchkeyError('setup_code_dead');
    case COAP_CODE.badRequest:
    case COAP_CODE.requestEntityTooLarge:
      throw new LatchkeyError('device_refused_profile', codeText(code));
    default:
      throw new LatchkeyError('device_answer_invalid', codeText(code));
  }
  try {
    checkConfirmation(payload, provisioned, exchange);
  } catch (error) {
    // Whoever it is cannot read what it was sent.
    throw new LatchkeyError('setup_code_refused', 'the device does not know it', { cause: error });
  }
}
