import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { TcpEnd } from './hub-under-test.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

test('many writes over one connection leave no listener behind, and one after its end is over', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  cleanUp.push(() => process.off('warning', onWarning));
  const end = await TcpEnd.open();
  cleanUp.push(() => end.close());
  const connected = new Promise<void>((resolve) => {
    end.onConnection = resolve;
  });
  const hub = connect({ host: '127.0.0.1', port: end.port });
  hub.resume();
  cleanUp.push(() => hub.destroy());
  await connected;
  for (let count = 0; count < 20; count += 1) await end.write(Uint8Array.of(count));
  hub.destroy();
  await once(hub, 'close');
  await end.write(Uint8Array.of(0));
  // Warnings come a turn later.
  await new Promise((resolve) => setTimeout(resolve, 10));
  expect(warnings).toEqual([]);
});
