import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AccessLog } from '../../../drivers/mqtt/access-log.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

let log: QuietLog;
let access: AccessLog;

beforeEach(() => {
  vi.useFakeTimers();
  log = new QuietLog();
  access = new AccessLog(log, { isRegistered: (id) => id === 'ekg-1' || id === 'ekg-2' });
});
afterEach(() => {
  vi.useRealTimers();
});

function refused(device: string, topic?: string): void {
  const detail = topic === undefined ? undefined : `publish on ${access.plainTopic(topic)}`;
  access.refused({ code: 'topic_refused', device, address: '127.0.0.1', detail });
}

const told = () => log.lines.map(({ fields, level }) => ({ level, ...fields }));

test('a registered device is named', () => {
  refused('ekg-1');
  expect(told()).toMatchObject([{ level: 'info', event: 'refused', code: 'topic_refused', device: 'ekg-1' }]);
});

test.each(['ekg/Canary', 'ekg-9-canary', 'a3f1c2d4e5b60718293a4b5c6d7e8f90'])(
  'no name that is not registered, such as %s: it may be a token',
  (name) => {
    refused(name);
    expect(told()).toMatchObject([{ device: '?' }]);
    expect(JSON.stringify(log.lines)).not.toContain(name);
  },
);

test('nothing of a topic that is neither a word of the hub nor a registered id', () => {
  refused('ekg-1', 'latchkey/v1/a3f1c2d4e5b60718293a4b5c6d7e8f90/introspect/x/x/x/x/x');
  refused('ekg-1', 'latchkey/v1/ekg-2/canary/#');
  expect(told()).toMatchObject([
    { detail: 'publish on latchkey/v1/?/introspect/?/?/?/?/…' },
    { detail: 'publish on latchkey/v1/ekg-2/?/#' },
  ]);
});

test('a sum where many are refused alike in a second', () => {
  for (let count = 0; count < 20; count += 1) refused('ekg-1', 'elsewhere');
  expect(log.lines).toHaveLength(4);
  vi.advanceTimersByTime(1_000);
  expect(told()[4]).toMatchObject({ event: 'mqtt_refused', code: 'topic_refused', device: 'ekg-1', count: 16 });
});
