/**
 * The built hub on a serial line against aiocoap (PyPI): its whole CoAP behind slipmux, on a pty.
 *
 *   aiocoap-side PYTHON SCRIPT
 */
import { setupCodeText } from '../../../src/codec/setup-code.ts';
import { Secret } from '../../../src/core/secret.ts';
import { deviceCases, expect, inWorld, type Place, taken } from '../device-cases.ts';
import { PeerWorld, SCOPES } from '../peer-world.ts';
import { Report } from '../report.ts';

const [python = '', script = ''] = process.argv.slice(2);
const report = new Report('aiocoap');

/** What the hub puts into one message on a line. */
const MESSAGE_BYTES = 1_280;

const open: Place = ({ args = [], device = [], setup, tamper }) =>
  PeerWorld.open({
    python,
    script,
    args,
    device: ['--line', 'bench', ...device],
    settings: (port) => `[[lines]]\nname = "bench"\npath = "${port}"\n`,
    ...(setup === undefined ? {} : { setup }),
    ...(tamper === undefined ? {} : { tamper }),
  });

await deviceCases(report, open);

await inWorld(report, open, 'a token of more than one message goes in blocks, which aiocoap puts together', {
  run: async (world) => {
    await taken(world, SCOPES.whole);
    expect(Number((await world.peer.event('token')).bytes) > MESSAGE_BYTES, 'a token of more than one message');
  },
});

/** The label of the device. */
const SETUP = setupCodeText('tube-1', new Secret(new Uint8Array(16).fill(0x51))).expose();

for (const wrap of ['mac0', 'sign1']) {
  await inWorld(report, open, `a device with ${wrap} is paired by its setup code, and takes a token`, {
    change: { setup: SETUP, device: ['--wrap', wrap] },
    run: async (world) => {
      expect(world.peer.all('paired').length === 1, 'paired once');
      const { delivery, token } = await taken(world);
      expect((await world.read(delivery, token)) > 0, 'an answer with something in it');
    },
  });
}

await inWorld(report, open, 'another key of the hub comes by a trust bundle, and tokens under it are taken', {
  change: { setup: SETUP, device: ['--wrap', 'sign1'] },
  run: async (world) => {
    await taken(world);
    await world.rotateHubKey();
    // From then on its tokens are signed with the new one.
    await world.hub.event('trust_confirmed');
    expect(world.peer.all('trust')[0]?.hubKeys === 2, 'a bundle with both keys, which it took');
    await taken(world);
    expect(world.peer.all('refused').length === 0, 'nothing that it refused');
  },
});

process.exitCode = report.isGood ? 0 : 1;
