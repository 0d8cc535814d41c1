/**
 * The built hub, through noble, against bumble (PyPI): its controller in the place of an adapter, and a peripheral in Python
 * that speaks CoAP over GATT.
 *
 *   bumble-side PYTHON SCRIPT
 */
import { deviceCases, expect, inWorld, otherSecrets, type Place, taken, UNBELIEVED } from '../device-cases.ts';
import { PeerWorld, SCOPES } from '../peer-world.ts';
import { Report } from '../report.ts';

const [python = '', script = ''] = process.argv.slice(2);
const report = new Report('bumble');

const open: Place = ({ args = [], device = [], tamper }) =>
  PeerWorld.open({
    python,
    script,
    args,
    device: ['--ble', ...device],
    settings: (port) => `[ble]\nadapter = "${port}"\n`,
    ...(tamper === undefined ? {} : { tamper }),
  });

await deviceCases(report, open);

await inWorld(report, open, 'a token of more than 512 bytes goes in blocks of 256', {
  run: async (world) => {
    await taken(world, SCOPES.half);
    const blocks = world.peer.all('block').map(({ number }) => number);
    expect(blocks.length >= 2 && blocks.every((number, index) => number === index), `blocks in order, not ${blocks}`);
  },
});

await inWorld(report, open, 'with MTU 23 the same token arrives by prepared writes, and the receipt is read', {
  change: { args: ['--mtu', '23'] },
  run: (world) => taken(world, SCOPES.half),
});

await inWorld(report, open, 'after a link lost between blocks the token goes on where it was', {
  change: { args: ['--lose-after-block', '1'] },
  run: async (world) => {
    await taken(world, SCOPES.whole);
    const blocks = world.peer.all('block').map(({ number }) => Number(number));
    expect(world.peer.all('connected').length === 2, 'two connections');
    // Each once: what comes again is answered, and is no new block.
    expect(
      blocks.every((number, index) => number === index),
      `blocks in order, not ${blocks}`,
    );
    expect(world.peer.all('token').length === 1, 'one token');
  },
});

await inWorld(report, open, 'a refusal that the device did not vouch for ends nothing', {
  change: { tamper: (trust) => otherSecrets(trust, ['keys', 'answerKey']) },
  run: async (world) => {
    const delivery = await world.deliver(await world.token(), UNBELIEVED);
    expect(world.peer.all('refused').length > 0, 'a refusal');
    expect(delivery.state === 'queued', `queued, not ${delivery.state}`);
  },
});

process.exitCode = report.isGood ? 0 : 1;
