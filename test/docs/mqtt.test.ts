/** The MQTT examples of docs/protocol.md are sent through the front, and what comes back is compared. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { IntrospectionFront } from '../../drivers/mqtt/introspection-front.ts';
import { Topics } from '../../drivers/mqtt/topics.ts';
import { systemRandom } from '../../drivers/system-time.ts';
import { fromHex, fromUtf8, hex, utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import type { OutgoingMessage } from '../../src/ports/message-broker.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { activeAnswer, ScriptedRelay } from '../fakes/scripted-relay.ts';

const document = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
const examples = [...document.matchAll(/^```mqtt (\S+)\n([\s\S]*?)^```$/gm)].map(
  ([, name = '', body = '']) => [name, body] as const,
);

interface Written {
  readonly topic: string;
  readonly properties: ReadonlyMap<string, string>;
}

function writtenHead(text: string): Written {
  const [topic = '', ...lines] = text.trim().split('\n');
  return { topic, properties: new Map(lines.map((line) => line.split(': ') as [string, string])) };
}

const relay = new ScriptedRelay(
  activeAnswer({
    members: {
      iss: 'https://as.example',
      sub: 'doctor-7',
      aud: 'https://ekg-1.ward.example',
      exp: 1_795_491_045,
      scope: 'read',
      client_id: 'doctors-app',
    },
  }),
);

function send(head: Written, payload: string): Promise<OutgoingMessage> {
  return new Promise((resolve) => {
    const front = new IntrospectionFront({
      devices: { isRegistered: () => true },
      relay,
      topics: new Topics('latchkey/v1'),
      json: true,
      answerProtected: () => Promise.reject(new LatchkeyError('device_unauthenticated')),
      clock: { monotonic: () => 0 },
      random: systemRandom,
      log: new QuietLog(),
      publish: async (message) => {
        resolve(message);
        return { isConfirmed: () => true, confirmed: Promise.resolve(), refusal: () => undefined };
      },
    });
    void front.take({
      topic: head.topic,
      payload: utf8(payload),
      qos: head.properties.get('QoS') === '1' ? 1 : 0,
      again: false,
      contentType: head.properties.get('Content Type'),
      responseTopic: head.properties.get('Response Topic'),
      correlationData: fromHex(head.properties.get('Correlation Data') ?? ''),
      settle: () => {
        // No broker waits for it.
      },
    });
  });
}

test.each(examples)('%s is what happens', async (_, example) => {
  const [requestHead = '', payload = '', answerHead = '', body = ''] = example.split('\n\n');
  const answer = await send(writtenHead(requestHead), payload);
  const documented = writtenHead(answerHead);
  expect(answer.topic).toBe(documented.topic);
  expect(answer.contentType).toBe(documented.properties.get('Content Type'));
  expect(String(answer.qos)).toBe(documented.properties.get('QoS'));
  expect(hex(answer.correlationData ?? utf8(''))).toBe(documented.properties.get('Correlation Data'));
  const { id, ...members } = JSON.parse(fromUtf8(answer.payload)) as Record<string, unknown>;
  const { id: anyId, ...expected } = JSON.parse(body) as Record<string, unknown>;
  expect(members).toEqual(expected);
  expect(typeof id).toBe(typeof anyId);
});

test('there are examples', () => {
  expect(examples.map(([name]) => name)).toEqual(['mqtt-json', 'mqtt-refused']);
});
