/**
 * The built hub on a serial line against aiocoap (PyPI): its whole CoAP behind slipmux, on a pty.
 *
 *   aiocoap-side PYTHON SCRIPT
 */
import { deviceCases, expect, inWorld, type Place, taken } from '../device-cases.ts';
import { PeerWorld, SCOPES } from '../peer-world.ts';
import { Report } from '../report.ts';

const [python = '', script = ''] = process.argv.slice(2);
const report = new Report('aiocoap');

/** What the hub puts into one message on a line. */
const MESSAGE_BYTES = 1_280;

const open: Place = ({ args = [], device = [], tamper }) =>
  PeerWorld.open({
    python,
    script,
    args,
    device: ['--line', 'bench', ...device],
    settings: (port) => `[[lines]]\nname = "bench"\npath = "${port}"\n`,
    ...(tamper === undefined ? {} : { tamper }),
  });

await deviceCases(report, open);

await inWorld(report, open, 'a token of more than one message goes in blocks, which aiocoap puts together', {
  run: async (world) => {
    await taken(world, SCOPES.whole);
    expect(Number((await world.peer.event('token')).bytes) > MESSAGE_BYTES, 'a token of more than one message');
  },
});

process.exitCode = report.isGood ? 0 : 1;
