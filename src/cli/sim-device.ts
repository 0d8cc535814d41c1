import { readTrustFile } from '../codec/trust-file.ts';
import { fromUtf8 } from '../core/bytes.ts';
import { LatchkeyError } from '../core/errors.ts';
import { describe } from '../sim/device-event.ts';
import { startSimulator } from '../simulator.ts';
import { addExample, type CliCommand, type Terminal } from './command.ts';

/** A trust file with keys for many clients is still a few KiB. */
const MAX_TRUST_BYTES = 65_536;

interface Options {
  readonly listen: string;
  readonly trust: string;
  readonly clock: boolean;
  readonly json?: boolean;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Simulate a device behind a serial line until told to stop (SIGTERM or SIGINT). It trusts what is in its trust file and nothing else, and prints one line for everything that happens.',
      )
      .requiredOption('--listen <line>', 'tcp://127.0.0.1:PORT (0 lets the system choose), or the path of a tty')
      .requiredOption('--trust <file>', 'the trust file that `latchkey devices add` wrote')
      .option('--no-clock', 'a device whose clock was never set')
      .option('--json', 'print JSON lines')
      .action((options: Options) => simulate(options, terminal));
    addExample(command, '$ latchkey sim device --listen tcp://127.0.0.1:4161 --trust tube-1.trust.json');
  },
};

async function simulate(options: Options, terminal: Terminal): Promise<void> {
  const trust = readTrustFile(fromUtf8(await terminal.read(options.trust, MAX_TRUST_BYTES)));
  if (!/^(tcp:\/\/|\/)/.test(options.listen)) {
    throw new LatchkeyError('usage', '--listen takes tcp://127.0.0.1:PORT or the path of a tty');
  }
  const stopAsked = stopSignal();
  const simulator = await startSimulator({
    listen: options.listen,
    trust,
    knowsTime: options.clock,
    onEvent: (event) => terminal.print(options.json === true ? JSON.stringify(event) : describe(event)),
  });
  terminal.print(
    options.json === true
      ? JSON.stringify({ event: 'ready', device: trust.device, address: simulator.address })
      : `${trust.device} is ready on ${simulator.address}`,
  );
  await stopAsked;
  await simulator.close();
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}
