/**
 * creation hints: a device without a clock is asked, for a client with a good token, what the next token must hold (RFC 9200
 * §5.3). Its nonce makes a token new; without it the device refuses every one.
 */
import { type CreationHints, readCreationHints } from '../codec/creation-hints.ts';
import { COAP_CODE, COAP_METHOD, CONTENT_FORMAT } from '../codec/iana.ts';
import { TOKEN_HASH_BYTES } from '../codec/signed-request.ts';
import { base64url } from '../core/bytes.ts';
import type { Random } from '../core/clock.ts';
import type { CoapResponse } from '../core/coap-exchange.ts';
import { coded, isCoded, LatchkeyError } from '../core/errors.ts';
import type { Device } from '../devices/device.ts';
import type { DeviceLink } from '../ports/device-link.ts';
import type { Log } from '../ports/log.ts';
import type { CreationHintsView } from '../ports/northbound.ts';

export interface AskForHintsDependencies {
  /** @throws {LatchkeyError} `link_unconfigured` */
  readonly link: (device: Device) => DeviceLink;
  readonly random: Pick<Random, 'bytes'>;
  /** Issuers that the device takes tokens of. */
  readonly issuersOf: (device: Device) => readonly string[];
  /** Milliseconds that a client is made to wait for the device at most. */
  readonly timeout: number;
}

export class AskForHints {
  readonly #dependencies: AskForHintsDependencies;
  /** One question at a time for each device, however many clients wait for it. */
  readonly #asking = new Map<string, Promise<CreationHintsView | undefined>>();

  constructor(dependencies: AskForHintsDependencies) {
    this.#dependencies = dependencies;
  }

  /** Undefined where the device does not answer now, or has nothing to say. */
  async of(device: Device, log: Log): Promise<CreationHintsView | undefined> {
    const known = this.#asking.get(device.id);
    if (known !== undefined) return known;
    const asking = this.#ask(device, log).finally(() => this.#asking.delete(device.id));
    this.#asking.set(device.id, asking);
    return asking;
  }

  /** A challenge for a token that nobody has is a request without authorization, and has no effect. */
  async #ask(device: Device, log: Log): Promise<CreationHintsView | undefined> {
    const { issuersOf, link, random, timeout } = this.#dependencies;
    try {
      const payload = random.bytes(TOKEN_HASH_BYTES);
      const answer = await link(device).request(
        { method: COAP_METHOD.POST, path: ['challenge'], contentFormat: CONTENT_FORMAT.octetStream, payload },
        { deadline: timeout },
      );
      const hints = hintsOf(answer, issuersOf(device));
      if (hints === undefined) throw new LatchkeyError('device_answer_invalid', 'no creation hints');
      return hints;
    } catch (error) {
      const { code, detail } = coded(error);
      log.info(
        { event: 'creation_hints_missing', device: device.id, code, detail },
        'the device gave no creation hints',
      );
      return undefined;
    }
  }
}

/**
 * The hints in a refusal of the device, in their JSON form; undefined where it has none. They have no MAC, and a client sends
 * its credentials where `AS` points: one that is no issuer of the device is left out.
 * @throws {LatchkeyError} `device_answer_invalid`
 */
export function hintsOf(answer: CoapResponse, issuers: readonly string[]): CreationHintsView | undefined {
  if (answer.code !== COAP_CODE.unauthorized || answer.contentFormat !== CONTENT_FORMAT.aceCbor) return undefined;
  const { as, audience, cnonce } = read(answer.payload);
  return {
    ...(as === undefined || !issuers.includes(as) ? {} : { AS: as }),
    ...(audience === undefined ? {} : { audience }),
    ...(cnonce === undefined ? {} : { cnonce: base64url(cnonce) }),
  };
}

/** What is wrong with them is the fault of the device, not of the client that asks. */
function read(payload: Uint8Array): CreationHints {
  try {
    return readCreationHints(payload);
  } catch (error) {
    if (isCoded(error, 'device_answer_invalid')) throw error;
    throw new LatchkeyError('device_answer_invalid', 'creation hints', { cause: error });
  }
}
