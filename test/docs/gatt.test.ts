/** The examples of docs/protocol.md, "CoAP over GATT": what the hub really says, and how it takes the answer. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeMessage } from '../../src/codec/coap/message.ts';
import { contentOfCoap, type GattContent } from '../../src/codec/gatt-message.ts';
import { GattSubLayer } from '../../src/codec/gatt-sub-layer.ts';
import { COAP_METHOD, COAP_OPTION, COAP_TYPE, CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { fromHex, hex, utf8 } from '../../src/core/bytes.ts';
import { FakeTime } from '../fakes/fake-time.ts';

const text = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

function example(name: string): string {
  const [, body] = new RegExp(`^\`\`\`hex ${name}\n([^\`]*)^\`\`\`$`, 'm').exec(text) ?? [];
  if (body === undefined) throw new Error(`no example ${name}`);
  return body.replaceAll(/\s/g, '');
}

test('the first message of the hub, the answer to it, and its acknowledgement', async () => {
  const time = new FakeTime();
  const sent: string[] = [];
  const heard: GattContent[] = [];
  const hub = new GattSubLayer({
    send: (value) => sent.push(hex(value)),
    onContent: (content) => heard.push(content),
    onStalled: () => undefined,
    timers: time,
    acknowledgeAfter: 100,
    acknowledgementDeadline: 10_000,
  });
  const coap = encodeMessage({
    type: COAP_TYPE.CON,
    code: COAP_METHOD.POST,
    messageId: 0,
    token: fromHex('aabbccdd'),
    options: [
      { number: COAP_OPTION.uriPath, value: utf8('authz-info') },
      { number: COAP_OPTION.contentFormat, value: Uint8Array.of(CONTENT_FORMAT.cwt) },
    ],
    payload: fromHex('d18443a10104a1044478653733583ea6036d'),
  });
  hub.send(contentOfCoap(coap) as GattContent);
  hub.receive(fromHex(example('gatt-response')));
  await time.advance(10_000);
  expect(sent).toEqual([example('gatt-request'), example('gatt-acknowledgement')]);
  expect(heard.map(({ bytes }) => hex(bytes))).toEqual(['81aabbccdd']);
  expect(time.pendingTimers).toBe(0);
});
