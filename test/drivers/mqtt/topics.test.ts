import { describe, expect, test } from 'vitest';
import { Topics } from '../../../drivers/mqtt/topics.ts';

const topics = new Topics('latchkey/v1');

describe('request topics', () => {
  test('name the device that asks', () => {
    expect(topics.deviceOf('latchkey/v1/ekg-1/introspect')).toBe('ekg-1');
    expect(topics.deviceOf(topics.requestsOf('ekg-1'))).toBe('ekg-1');
  });

  test.each([
    ['another prefix', 'latchkey/v2/ekg-1/introspect'],
    ['another resource', 'latchkey/v1/ekg-1/answer'],
    ['a level too many', 'latchkey/v1/ward/ekg-1/introspect'],
    ['a level too few', 'latchkey/v1/introspect'],
    ['an empty level', 'latchkey/v1//introspect'],
  ])('%s names nobody', (_, topic) => {
    expect(topics.deviceOf(topic)).toBeUndefined();
  });
});

describe('an answer may go', () => {
  test.each([
    ['to a topic of the device', 'latchkey/v1/ekg-1/answer'],
    ['to one further down', 'latchkey/v1/ekg-1/answers/7'],
  ])('%s', (_, topic) => {
    expect(topics.mayAnswerAt('ekg-1', topic)).toBe(true);
  });
});

describe('an answer may not go', () => {
  test.each([
    ['to another device', 'ekg-1', 'latchkey/v1/ekg-2/answer'],
    ['to a device whose name begins alike', 'ekg-1', 'latchkey/v1/ekg-10/answer'],
    ['to the request topic', 'ekg-1', 'latchkey/v1/ekg-1/introspect'],
    ['to the status of the hub', 'hub', 'latchkey/v1/hub/status'],
    ['to where the hub tells of its deliveries', 'ekg-1', 'latchkey/v1/ekg-1/deliveries'],
    ['to the root of the device', 'ekg-1', 'latchkey/v1/ekg-1/'],
    ['anywhere else', 'ekg-1', '$SYS/broker'],
    ['to a filter of one level', 'ekg-1', 'latchkey/v1/ekg-1/+'],
    ['to a filter of all levels', 'ekg-1', 'latchkey/v1/ekg-1/#'],
    ['to a topic with a NUL', 'ekg-1', 'latchkey/v1/ekg-1/a\0b'],
    ['to a topic of more than 256 bytes', 'ekg-1', `latchkey/v1/ekg-1/${'é'.repeat(120)}`],
  ])('%s', (_, device, topic) => {
    expect(topics.mayAnswerAt(device, topic)).toBe(false);
  });
});
