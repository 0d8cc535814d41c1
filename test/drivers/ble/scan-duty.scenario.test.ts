/** What the controller is told about listening, with real noble: `ble.scan_duty`, and all of the time while something waits. */
import { afterEach, expect, it } from 'vitest';
import { outcome, post, RadioRig, until } from '../../fixtures/radio-rig.ts';

let rig: RadioRig;

afterEach(() => rig.close());

/** Percent of the time, as the last start of a scan says it. */
const duty = () => {
  const [interval = 0, window = 0] = rig.hub.controller.scanTimes;
  return Math.round((window / interval) * 100);
};

it.each([10, 50, 100])('is told to listen %i percent of the time', async (scanDuty) => {
  rig = await RadioRig.open({ settings: { scanDuty } });
  await until(() => rig.radio.health().up);
  expect(duty()).toBe(scanDuty);
  expect(rig.hub.controller.scanTimes).toEqual([160, (160 * scanDuty) / 100]);
});

it('is told to listen all of the time while a device is waited for, and less after it', async () => {
  rig = await RadioRig.open({ settings: { scanDuty: 10, presence: 60_000 } });
  const tube = await rig.device();
  await rig.heard();
  await until(() => duty() === 10);
  tube.adapter.controller.leave();
  // Not heard for a while: the next advertisement is waited for.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const asked = outcome(rig.radio.link('tube-1').request(post(new Uint8Array(9)), { deadline: 2_000 }));
  await until(() => duty() === 100);
  await asked;
  await until(() => duty() === 10);
});
