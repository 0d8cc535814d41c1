/** The hub's radio, with programs in place of its process that a test writes. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { Radio } from '../../../drivers/ble/radio.ts';
import { monotonic, systemRandom, systemTimers } from '../../../drivers/system-time.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';
import { RADIO_SETTINGS } from '../../fixtures/radio-rig.ts';

const folder = mkdtempSync(join(tmpdir(), 'latchkey-radio-'));
const opened: Radio[] = [];

afterEach(async () => {
  for (const radio of opened.splice(0)) await radio.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The process answers `open` with these. */
function radioThatSays(...messages: readonly object[]): Radio {
  const program = join(folder, 'program.mjs');
  writeFileSync(
    program,
    `import { Socket } from 'node:net';
    const hub = new Socket({ fd: 3, readable: true, writable: true });
    const say = (message) => {
      const text = JSON.stringify(message);
      const head = Buffer.alloc(4);
      head.writeUInt32LE(Buffer.byteLength(text));
      hub.write(Buffer.concat([head, Buffer.from(text)]));
    };
    hub.on('data', (bytes) => {
      if (bytes.includes('"close"')) process.exit(0);
    });
    hub.once('data', () => ${JSON.stringify(messages)}.forEach(say));
    say({ type: 'ready' });`,
  );
  const radio = new Radio({
    // Any file that may be read and written.
    settings: { ...RADIO_SETTINGS, adapter: program },
    program,
    timers: systemTimers,
    clock: { monotonic },
    random: systemRandom,
    log: new QuietLog(),
    isKnown: () => true,
  });
  opened.push(radio);
  return radio;
}

const ADDRESS = 'c0:ff:ee:00:00:01';

test('a device that advertises before the adapter is said to be on is there as soon as it is on', async () => {
  const radio = radioThatSays(
    { type: 'heard', name: 'tube-1', address: ADDRESS, rssi: -60 },
    { type: 'on', address: 'c0:ff:ee:00:00:02' },
  );
  const told: string[] = [];
  radio.onSighting((name) => told.push(name));
  await vi.waitFor(() => expect(radio.health().up).toBe(true), { timeout: 30_000 });
  expect(told).toEqual(['tube-1']);
  expect(radio.link('tube-1').isUp()).toBe(true);
});
