import { readTrustFile } from '../codec/trust-file.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { describe } from '../sim/device-event.ts';
import { startSimulator } from '../simulator.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';
import { type ConnectedOptions, readConnectedOptions, simulateConnected } from './sim-connected.ts';
import { Simulation } from './simulation.ts';

/** A trust file with keys for many clients is still a few KiB. */
const MAX_TRUST_BYTES = 65_536;

interface Options extends ConnectedOptions {
  readonly trust?: string;
  readonly clock: boolean;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Simulate a device until told to stop (SIGTERM or SIGINT), and print one line for everything that happens. With --trust it is behind a serial line, and trusts what is in its trust file and nothing else. With --connected it has its hub judge over MQTT what clients show it by HTTP.',
      )
      .option(
        '--listen <address>',
        'tcp://127.0.0.1:PORT (0 lets the system choose), or the path of a tty; for a connected device http://127.0.0.1:PORT',
      )
      .option('--trust <file>', 'the trust file that `latchkey devices add` wrote')
      .option('--no-clock', 'a device whose clock was never set')
      .option('--connected <broker>', 'the MQTT broker that the hub uses, mqtt://HOST:PORT or mqtts://HOST:PORT')
      .option('--credentials <file>', 'what `latchkey devices credentials` wrote')
      .option(
        '--password-file <file>',
        'its password at the broker (default: its `httpSecret`, which the embedded broker takes)',
      )
      .option('--broker-ca <file>', 'certificate authority of the broker, PEM, in place of those of the system')
      .option('--topic-prefix <prefix>', 'as in `mqtt.topic_prefix` of the hub', 'latchkey/v1')
      .option('--scope <scope>', 'what a token for it must allow', 'read')
      .option('--take-stale', 'take verdicts that the hub gives while the authorization server is away')
      .option('--json', 'print JSON lines')
      .action((options: Options) => simulate(options, terminal));
    addExample(
      command,
      '$ latchkey sim device --listen tcp://127.0.0.1:4161 --trust tube-1.trust.json',
      '$ latchkey sim device --connected mqtt://127.0.0.1:1883 --credentials ekg-1.json',
    );
  },
};

async function simulate(options: Options, terminal: Terminal): Promise<void> {
  const simulation = new Simulation(terminal, options.json === true);
  if (options.connected !== undefined) {
    if (options.trust !== undefined) throw new LatchkeyError('usage', '--connected and --trust are two devices');
    return simulateConnected(await readConnectedOptions(options, terminal), simulation);
  }
  const { listen, trust: file } = options;
  if (file === undefined) throw new LatchkeyError('usage', '--trust or --connected is needed');
  if (listen === undefined || !/^(tcp:\/\/|\/)/.test(listen)) {
    throw new LatchkeyError('usage', '--listen takes tcp://127.0.0.1:PORT or the path of a tty');
  }
  const trust = readTrustFile(fromUtf8(await terminal.read(file, MAX_TRUST_BYTES)));
  await simulation.run(trust.device, () =>
    startSimulator({
      listen,
      trust,
      knowsTime: options.clock,
      onEvent: (event) => simulation.tell(event, describe),
    }),
  );
}
