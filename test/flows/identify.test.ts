import { beforeEach, describe, expect, test } from 'vitest';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { identifyDevice } from '../../src/flows/identify.ts';
import { asyncCodeOf } from '../fixtures/async-code-of.ts';
import { PairRig } from '../fixtures/pair-rig.ts';

let rig: PairRig;

beforeEach(async () => {
  rig = await PairRig.open();
  await rig.flow.open({ seconds: 60 });
  await rig.pair();
  rig.link.requests.length = 0;
  rig.tube.events.length = 0;
});

const identify = () =>
  identifyDevice(rig.registry.get('tube-1'), { link: rig.link, random: rig.time, deadline: 1_000 });

describe('a paired device shows itself', () => {
  test('to its hub', async () => {
    await identify();
    expect(rig.tube.events).toEqual([{ event: 'identified' }]);
  });

  test('once for each time that it is asked', async () => {
    await identify();
    await identify();
    expect(rig.tube.events).toHaveLength(2);
  });

  test.each([
    ['that gives no nonce, and may have been reset', 1, '4.03', 'device_answer_invalid', 'doubted'],
    ['that gives noise in place of a nonce', 1, '2.01', 'device_answer_invalid', false],
    ['that does not do it', 2, '4.01', 'device_answer_invalid', 'doubted'],
    ['that says it did, and is another one', 2, '2.04', 'device_answer_untrusted', false],
  ])('and one is refused %s', async (_, at, code, expected, proof) => {
    const payload = new Uint8Array([0xa0]);
    rig.link.fate = (request) => (request === at ? { code: codeNumber(code), payload } : 'arrives');
    rig.link.proofs.length = 0;
    expect(await asyncCodeOf(identify())).toBe(expected);
    expect(rig.link.proofs).toEqual([proof]);
  });
});
