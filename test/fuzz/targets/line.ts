/** A serial line: its bytes, CoAP messages in good frames, CBOR in good messages, and bad answers to what the hub asks. */
import { decodeMessage, encodeMessage } from '../../../src/codec/coap/message.ts';
import { COAP_CODE, COAP_METHOD, COAP_OPTION, COAP_TYPE } from '../../../src/codec/iana.ts';
import { encodeDiagnostic, encodeSlipmux, SlipmuxDecoder } from '../../../src/codec/slipmux.ts';
import { EMPTY, utf8 } from '../../../src/core/bytes.ts';
import type { HubUnderTest } from '../hub-under-test.ts';
import { type FuzzTarget, within } from '../target.ts';

const PING = encodeMessage({
  type: COAP_TYPE.CON,
  code: 0,
  messageId: 0x7fff,
  token: EMPTY,
  options: [],
  payload: EMPTY,
});
/** Between two inputs: a line is made to wait where it brings too much, which is right and no matter here. */
const PAUSE = 2;

let messageId = 0;

function post(path: string, payload: Uint8Array, contentFormat?: number): Uint8Array {
  messageId = (messageId + 1) & 0x7ffe;
  const options = [
    { number: COAP_OPTION.uriPath, value: utf8(path) },
    ...(contentFormat === undefined
      ? []
      : [{ number: COAP_OPTION.contentFormat, value: Uint8Array.of(contentFormat) }]),
  ];
  return encodeMessage({
    type: COAP_TYPE.CON,
    code: COAP_METHOD.POST,
    messageId,
    token: Uint8Array.of(1, 2),
    options,
    payload,
  });
}

export function lineTargets(test: HubUnderTest): readonly FuzzTarget[] {
  const { line } = test;
  let hasPong = false;
  let answer: Uint8Array | undefined;
  let decoder = new SlipmuxDecoder();
  line.onConnection = () => {
    decoder = new SlipmuxDecoder();
  };
  line.onData = (chunk) => {
    decoder.push(chunk, {
      onCoap: (bytes) => {
        const message = decodeMessage(bytes);
        if (message.type === COAP_TYPE.RST && message.messageId === 0x7fff) hasPong = true;
        if (message.type !== COAP_TYPE.CON || answer === undefined) return;
        // The head of a response fits the request; what follows is the input.
        const head = Buffer.from(
          encodeMessage({ ...message, type: COAP_TYPE.ACK, code: COAP_CODE.created, options: [], payload: EMPTY }),
        );
        void line.write(encodeSlipmux(Buffer.concat([head, answer])));
      },
      onDiagnostic: () => undefined,
      onNoise: () => undefined,
    });
  };
  const honest = async () => {
    hasPong = false;
    await within(20_000, 'the hub answers a CoAP ping on the line', async () => {
      // Two ends: what the last input began is over.
      if (line.isConnected) await line.write(Buffer.concat([Buffer.of(0xc0), encodeSlipmux(PING)]));
      await new Promise((resolve) => setTimeout(resolve, 100));
      return hasPong;
    });
  };
  const target = (
    name: string,
    seeds: readonly Uint8Array[],
    carry: (input: Uint8Array) => Uint8Array,
  ): FuzzTarget => ({
    name,
    seeds,
    batch: 200,
    parallel: 1,
    async send(input) {
      await line.write(carry(input));
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    },
    honest,
    async close() {
      answer = undefined;
    },
  });
  const messages = [
    post('introspect', Buffer.from('a10b6161', 'hex'), 19),
    post('time', Buffer.from('4c000000000000000000000000', 'hex')),
    post('nope', Buffer.from('00', 'hex')),
    Buffer.from('62450001aabbff00', 'hex'),
    Buffer.from('44020840084001 02b574727573741111d1020fff'.replaceAll(' ', ''), 'hex'),
    Buffer.from('70000001', 'hex'),
  ];
  const cose = Buffer.from('d18443a10105a1044430304c36583aa10b616144deadbeef48aabbccddeeff0011', 'hex');
  return [
    target(
      'slipmux',
      [...messages.map((message) => encodeSlipmux(message)), encodeDiagnostic(utf8('boot 1.0'))],
      (input) => input,
    ),
    target('coap', messages, (input) => encodeSlipmux(input)),
    target('coap-cbor', [cose, Buffer.from('83490102030405060708095820a1', 'hex')], (input) =>
      encodeSlipmux(post(input.length % 2 === 0 ? 'introspect' : 'time', input.subarray(0, 1_000), 17)),
    ),
    {
      ...target(
        'coap-response',
        [Buffer.from('c0d1e20fff00', 'hex'), Buffer.from('ffd18443a10105a058', 'hex')],
        (input) => input,
      ),
      batch: 20,
      async send(input) {
        answer = input.subarray(0, 1_000);
        await test.folder.command('devices', 'identify', 'tube-1', '--config', test.folder.config);
      },
    },
  ];
}
