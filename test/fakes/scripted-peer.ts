import { CoapEndpoint, type CoapEndpointOptions } from '../../src/codec/coap/endpoint.ts';
import { type CoapMessage, type CoapOption, decodeMessage, encodeMessage } from '../../src/codec/coap/message.ts';
import { COAP_TYPE } from '../../src/codec/iana.ts';
import { EMPTY } from '../../src/core/bytes.ts';
import { FakeTime } from './fake-time.ts';

export interface Answer {
  readonly code: number;
  readonly options?: readonly CoapOption[];
  readonly payload?: Uint8Array;
}

/** The other side of an endpoint, of which the test writes every message by hand. */
export class ScriptedPeer {
  readonly time = new FakeTime();
  /** What the endpoint sent. */
  readonly heard: CoapMessage[] = [];
  readonly endpoint: CoapEndpoint;

  constructor(options: Pick<CoapEndpointOptions, 'handler' | 'onHandlerFailure' | 'settings'> = {}) {
    this.endpoint = new CoapEndpoint({
      ...options,
      send: (bytes) => this.heard.push(decodeMessage(bytes)),
      timers: this.time,
      random: this.time,
      clock: this.time,
    });
  }

  last(): CoapMessage {
    const message = this.heard.at(-1);
    if (message === undefined) throw new Error('the endpoint has sent nothing');
    return message;
  }

  say(message: Partial<CoapMessage> & Pick<CoapMessage, 'type' | 'code' | 'messageId'>): void {
    this.endpoint.receive(encodeMessage({ token: EMPTY, options: [], payload: EMPTY, ...message }));
  }

  /** Piggybacked on the acknowledgement of the endpoint's last message. */
  answer({ code, options = [], payload = EMPTY }: Answer): void {
    const { messageId, token } = this.last();
    this.say({ type: COAP_TYPE.ACK, code, messageId, token, options, payload });
  }
}
