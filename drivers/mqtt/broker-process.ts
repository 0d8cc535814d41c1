/** The program of the embedded broker's process. */
import { coded } from '../../src/core/errors.ts';
import { beChild } from '../child-main.ts';
import { framesOf } from '../child-messages.ts';
import { systemTimers } from '../system-time.ts';
import { type AedesBroker, openAedesBroker } from './aedes-broker.ts';
import { type FromBroker, isFailureCode, type RefusedWord, type ToBroker } from './broker-messages.ts';

/** Refusals that are told one by one in a second. The hub sums up as well: this bounds what goes over the channel. */
const TOLD_PER_SECOND = 64;

let broker: AedesBroker | undefined;
/** Refusals of this second. */
let told = 0;
/** Of them, those that were only counted. */
let untold = 0;
/** Connections that were refused in this second. */
let refusedConnections = 0;

const hub = beChild('latchkey mqtt-broker', (message) => take(message as ToBroker));
const say = (message: FromBroker) => {
  // A login without an answer is refused as the hub being away; one refusal more or less is only a line of the log.
  const canBeLeftOut = message.kind === 'login' || message.kind === 'refused';
  if (canBeLeftOut && !hub.isHeard()) return;
  if (message.kind !== 'connections_refused') hub.say(message);
  else {
    // Counted: the hub ends a process that sends too many messages.
    if (refusedConnections === 0) systemTimers.after(1_000, tellConnections);
    refusedConnections += message.count;
  }
};

function take(message: ToBroker): void {
  if (message.kind === 'open') void open(message);
  else if (message.kind === 'verdict') broker?.access.verdict(message.login, message.role);
  else broker?.end(message.device);
}

async function open(message: Extract<ToBroker, { kind: 'open' }>): Promise<void> {
  try {
    broker = await openAedesBroker({ open: message, say, refused, timers: systemTimers });
    say({ kind: 'listening', port: broker.port });
  } catch (error) {
    const { code, detail } = coded(error);
    if (isFailureCode(code) && code !== 'internal') say({ kind: 'failed', code, detail });
    // A defect: the frames say where it is.
    else say({ kind: 'failed', code: 'internal', detail: framesOf(error) });
  }
}

function refused(word: RefusedWord): void {
  if (told === 0) systemTimers.after(1_000, endSecond);
  told += 1;
  if (told <= TOLD_PER_SECOND) say(word);
  else untold += 1;
}

function endSecond(): void {
  if (untold > 0) say({ kind: 'refused_more', count: untold });
  told = 0;
  untold = 0;
}

function tellConnections(): void {
  hub.say({ kind: 'connections_refused', count: refusedConnections } satisfies FromBroker);
  refusedConnections = 0;
}
