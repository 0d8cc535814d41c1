import { addExample, type CliCommand, type Terminal } from './command.ts';
import { collectArtifacts, prepareFolder, writeArtifacts } from './demo/artifacts.ts';
import { connectedWay } from './demo/connected.ts';
import { connectedRefusals } from './demo/connected-refusals.ts';
import { goodWay, type Sizes, setUp } from './demo/good-way.ts';
import { chooseRadios, type Radios } from './demo/medium.ts';
import { Narrator } from './demo/narrator.ts';
import { outage } from './demo/outage.ts';
import { refusals } from './demo/refusals.ts';
import { Stage } from './demo/stage.ts';

interface Options {
  readonly json?: boolean;
  readonly artifacts?: string;
  readonly radio?: string;
}

export const command: CliCommand = {
  configure(command, terminal) {
    command
      .description(
        'Show both jobs of the hub end to end, on this machine and with nothing installed. A doctor logs in at a real OAuth server; a connected EKG machine has the hub verify her token, and both get a key of their own. Then the machine is the client of a test tube that is offline: its token is translated by the hub and taken by the tube. And what is refused. Every step is checked; exit status 1 if one does not hold.',
      )
      .option('--json', 'print no story, and one JSON object as the last line')
      .option(
        '--radio <hub,tube>',
        'two Bluetooth adapters, by which hub and tube meet, or none for a serial line (default: the first two that can be used, else the line)',
      )
      .option('--artifacts <folder>', 'keep token, CWT, keys and claims there, for a check by another program')
      .action((options: Options) => demonstrate(options, terminal));
    addExample(command, '$ latchkey demo', '$ latchkey demo --json --artifacts out');
  },
};

async function demonstrate(options: Options, terminal: Terminal): Promise<void> {
  const silent = options.json === true;
  const story = new Narrator({ terminal, silent });
  let sizes: Sizes = { jwtBytes: 0, cwtBytes: 0, wireBytes: 0 };
  let ok = false;
  try {
    const radios = await chooseRadios(options.radio);
    sizes = await play({ story, terminal, folder: options.artifacts, radios }, (known) => {
      sizes = known;
    });
    ok = true;
  } finally {
    if (silent) terminal.print(JSON.stringify({ ok, ...sizes, steps: story.results }));
  }
}

async function play(
  {
    story,
    terminal,
    folder,
    radios,
  }: {
    readonly story: Narrator;
    readonly terminal: Terminal;
    readonly folder: string | undefined;
    readonly radios: Radios | undefined;
  },
  onSizes: (sizes: Sizes) => void,
): Promise<Sizes> {
  if (folder !== undefined) await prepareFolder(folder);
  const stage = await Stage.open(radios);
  try {
    story.chapter('An OAuth server, a hub, an EKG machine, a test tube');
    await setUp(story, stage);
    story.chapter('A client at a device that is connected');
    const doctorsToken = await connectedWay(story, stage);
    story.chapter('What is refused there');
    await connectedRefusals(story, stage, doctorsToken);
    story.chapter('A token finds its way to a device that is offline');
    const way = await goodWay(story, stage);
    onSizes(way.sizes);
    if (folder !== undefined) {
      await writeArtifacts(folder, await collectArtifacts(stage, way));
      story.say(`token, CWT, keys and claims are in ${folder}`);
    }
    story.chapter('What is refused by hub and tube');
    await refusals(story, stage, way);
    story.chapter('What goes on working, and what does not');
    await outage(story, stage, doctorsToken);
    story.chapter(
      `All of it held. JWT ${way.sizes.jwtBytes} bytes, CWT ${way.sizes.cwtBytes}, ${stage.onTheWay} ${way.sizes.wireBytes}.`,
    );
    return way.sizes;
  } catch (error) {
    for (const line of stage.logLines) terminal.note(line);
    throw error;
  } finally {
    await stage.close();
  }
}
