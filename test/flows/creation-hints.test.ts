import { describe, expect, it } from 'vitest';
import { codeNumber } from '../../src/codec/coap/codes.ts';
import { makeCreationHints } from '../../src/codec/creation-hints.ts';
import { CONTENT_FORMAT } from '../../src/codec/iana.ts';
import { EMPTY, utf8 } from '../../src/core/bytes.ts';
import { LatchkeyError } from '../../src/core/errors.ts';
import { AskForHints } from '../../src/flows/creation-hints.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { QuietLog } from '../fakes/quiet-log.ts';
import { ScriptedLink } from '../fakes/scripted-link.ts';
import { connectedDevice } from '../fixtures/connected-device.ts';

const tube = connectedDevice('tube-1', { line: 'line-1' });
const hinted = {
  code: codeNumber('4.01'),
  contentFormat: CONTENT_FORMAT.aceCbor,
  payload: makeCreationHints({
    as: 'https://as.example',
    audience: 'coap://tube-1',
    cnonce: Uint8Array.of(1, 2, 3, 4),
  }),
};

function setup(answer: ScriptedLink['answer']) {
  const link = new ScriptedLink(answer);
  const log = new QuietLog();
  const hints = new AskForHints({
    link: () => link,
    random: new FakeTime(),
    issuersOf: () => ['https://as.example'],
    timeout: 1_000,
  });
  return { link, log, ask: () => hints.of(tube, log) };
}

describe('creation hints of a device', () => {
  it('come from a challenge for a token that nobody has', async () => {
    const { ask, link } = setup(() => hinted);
    expect(await ask()).toEqual({ AS: 'https://as.example', audience: 'coap://tube-1', cnonce: 'AQIDBA' });
    expect(link.requests).toMatchObject([{ method: 2, path: ['challenge'], contentFormat: 42 }]);
    expect(link.requests[0]?.payload).toHaveLength(8);
  });

  it('do not name an issuer that the device does not take', async () => {
    const foreign = makeCreationHints({ as: 'https://as.attacker.example', cnonce: Uint8Array.of(1, 2, 3, 4) });
    const { ask } = setup(() => ({ ...hinted, payload: foreign }));
    expect(await ask()).toEqual({ cnonce: 'AQIDBA' });
  });

  it('are asked for once, however many wait for them, and anew the next time', async () => {
    const { ask, link } = setup(() => hinted);
    await Promise.all([ask(), ask(), ask()]);
    expect(link.requests).toHaveLength(1);
    await ask();
    expect(link.requests).toHaveLength(2);
  });

  it.each<[string, ScriptedLink['answer']]>([
    ['where the device is away', () => new LatchkeyError('device_no_answer')],
    ['in a bare refusal', () => ({ code: codeNumber('4.01'), payload: EMPTY })],
    ['in an answer of another code', () => ({ ...hinted, code: codeNumber('4.04') })],
    ['in another format', () => ({ ...hinted, contentFormat: CONTENT_FORMAT.cbor })],
    ['in what is no CBOR', () => ({ ...hinted, payload: utf8('nonsense') })],
  ])('are none %s', async (_, answer) => {
    const { ask, log } = setup(answer);
    expect(await ask()).toBeUndefined();
    expect(log.lines.at(-1)?.fields).toMatchObject({ event: 'creation_hints_missing', device: 'tube-1' });
  });
});
