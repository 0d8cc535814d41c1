/** What a device has to be able to do, whoever made its stacks and whatever carries them. */
import { type Delivery, type DpopToken, HubRefusal } from '../../src/client/index.ts';
import { type PeerWorld, type PeerWorldOptions, SCOPES, type Trust } from './peer-world.ts';
import type { Report } from './report.ts';

/** How a world is opened here; a case changes what it is about. */
export type Place = (
  change: Partial<Pick<PeerWorldOptions, 'args' | 'device' | 'setup' | 'tamper'>>,
) => Promise<PeerWorld>;

/** Milliseconds in which a delivery that nobody believes stays where it is. */
export const UNBELIEVED = 3_000;

export async function deviceCases(report: Report, open: Place): Promise<void> {
  for (const wrap of ['mac0', 'sign1', 'encrypt0', 'sign1+encrypt0']) {
    await inWorld(report, open, `a token in ${wrap} is verified, and its receipt is good`, {
      change: { device: ['--wrap', wrap] },
      run: (world) => taken(world),
    });
  }
  await inWorld(report, open, 'a signed request of the holder is answered, and the answer is the device’s', {
    run: async (world) => {
      const { delivery, token } = await taken(world);
      expect((await world.read(delivery, token)) > 0, 'an answer with something in it');
      expect((await world.peer.event('request')).code === 0x45, '2.05');
    },
  });
  await inWorld(report, open, 'the same token again has no second effect', {
    run: async (world) => {
      const { token } = await taken(world);
      expect((await world.deliver(token)).state === 'delivered', 'delivered again');
      expect(world.peer.all('token').length === 2 && world.peer.all('token')[1]?.again === true, 'known by its cti');
    },
  });
  await inWorld(report, open, 'the device asks the hub for the time', {
    run: async (world) => {
      await taken(world);
      world.peer.tell('time');
      expect(Number((await world.peer.event('time')).apart) < 5, 'the time, within five seconds');
    },
  });
  await inWorld(report, open, 'a device that trusts another hub refuses the token', {
    change: { tamper: (trust) => otherSecrets(trust, ['keys']) },
    run: async (world) => {
      const code = await refusal(world, await world.token());
      expect(code === 'device_refused_token', `device_refused_token, not ${code}`);
      expect((await world.peer.event('refused')).code === 0x81, '4.01');
    },
  });
  await inWorld(report, open, 'a device that has not the answer key is not believed', {
    change: { tamper: (trust) => otherSecrets(trust, ['answerKey']) },
    run: async (world) => {
      const delivery = await world.deliver(await world.token(), UNBELIEVED);
      expect(world.peer.all('token').length > 0, 'a token that reached it');
      expect(delivery.state === 'queued', `queued, not ${delivery.state}`);
    },
  });
}

interface Case {
  readonly change?: Parameters<Place>[0];
  readonly run: (world: PeerWorld) => Promise<unknown>;
}

/** Each case has a world of its own. */
export function inWorld(report: Report, open: Place, name: string, { change = {}, run }: Case): Promise<void> {
  return report.check(name, async () => {
    const world = await open(change);
    try {
      await run(world);
    } catch (error) {
      const refused = world.peer.all('refused').map(({ why }) => why);
      throw new Error(`${String(error)}; the device refused: ${refused.join(', ') || 'nothing'}`);
    } finally {
      await world.close();
    }
  });
}

/** Delivers a token. @throws {Error} unless the device took it and its receipt was good */
export async function taken(
  world: PeerWorld,
  scope: string = SCOPES.one,
): Promise<{ readonly delivery: Delivery; readonly token: DpopToken }> {
  const token = await world.token(scope);
  const delivery = await world.deliver(token);
  expect(delivery.state === 'delivered', `delivered, not ${delivery.state}`);
  expect(delivery.receipt === true, 'a receipt');
  await world.peer.event('token');
  return { delivery, token };
}

export function expect(holds: boolean, what: string): void {
  if (!holds) throw new Error(`expected ${what}`);
}

async function refusal(world: PeerWorld, token: DpopToken): Promise<string> {
  try {
    const { state } = await world.deliver(token);
    return state;
  } catch (error) {
    if (error instanceof HubRefusal) return error.hubCode;
    throw error;
  }
}

/** The same keys with other secrets, in these members of a trust file. */
export function otherSecrets(trust: Trust, members: readonly ('keys' | 'answerKey')[]): Trust {
  const changed = members.map((member) => {
    const keys = [trust[member]].flat() as readonly { readonly k: string }[];
    const others = keys.map((key) => ({
      ...key,
      k: Buffer.alloc(Buffer.from(key.k, 'base64url').length, 7).toString('base64url'),
    }));
    return [member, member === 'keys' ? others : others[0]];
  });
  return { ...trust, ...Object.fromEntries(changed) };
}
