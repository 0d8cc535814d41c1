import { readCredentialsFile } from '../../codec/credentials-file.ts';
import type { Secret } from '../../core/secret.ts';
import type { ConnectedEvent } from '../../sim/connected-event.ts';
import { type RunningConnectedDevice, startConnectedDevice } from '../../simulator.ts';
import { until } from './waiting.ts';

export const EKG = 'ekg-1';
export const EKG_AUDIENCE = 'https://ekg-1.ward.example';
/** Milliseconds: longer than the hub waits for an OAuth server. */
const HUB_DEADLINE = 10_000;
/** Milliseconds: a broker that was restarted is tried again with ever longer pauses. */
const BROKER_DEADLINE = 10_000;

type Admitted = Extract<ConnectedEvent, { readonly event: 'client_admitted' }>;

/** The EKG machine as a device: it runs, and this is what it told. */
export class EkgMachine {
  readonly running: RunningConnectedDevice;
  readonly #events: readonly ConnectedEvent[];

  private constructor(running: RunningConnectedDevice, events: readonly ConnectedEvent[]) {
    this.running = running;
    this.#events = events;
  }

  /** @param credentials its credentials file */
  static async start(broker: string, credentials: Secret<string>): Promise<EkgMachine> {
    const events: ConnectedEvent[] = [];
    const running = await startConnectedDevice({
      broker,
      topicPrefix: 'latchkey/v1',
      credentials: readCredentialsFile(credentials.expose()),
      listen: { host: '127.0.0.1', port: 0 },
      policy: { scope: 'read', takesStale: false },
      deadline: HUB_DEADLINE,
      onEvent: (event) => events.push(event),
    });
    return new EkgMachine(running, events);
  }

  /** Resolves once it reaches the broker. @throws {LatchkeyError} `demo_failed` */
  connected(): Promise<void> {
    return until(() => this.#isConnected(), 'the EKG machine reaches its broker', BROKER_DEADLINE);
  }

  /** The client that it admitted last. */
  lastAdmitted(): Admitted | undefined {
    return this.#events.findLast((event): event is Admitted => event.event === 'client_admitted');
  }

  #isConnected(): boolean {
    return this.#events.findLast(({ event }) => event.startsWith('broker_'))?.event === 'broker_up';
  }
}
