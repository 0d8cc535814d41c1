import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { InputLines } from '../../src/cli/input-lines.ts';

function open() {
  const stream = new PassThrough();
  return { stream, lines: new InputLines(stream as unknown as NodeJS.ReadStream) };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('lines come one at a time, however they arrive', async () => {
  const { lines, stream } = open();
  stream.write('one\ntw');
  expect(await lines.next()).toBe('one');
  const second = lines.next();
  stream.write('o\n');
  expect(await second).toBe('two');
});

test('an end that comes while a line is waited for is told', async () => {
  const { lines, stream } = open();
  const line = lines.next();
  stream.end();
  expect(await line).toBeUndefined();
});

test('an end that came between two lines is told to whoever asks next', async () => {
  const { lines, stream } = open();
  stream.end('one\ntwo\n');
  expect(await lines.next()).toBe('one');
  await turn();
  await turn();
  expect(await lines.next()).toBe('two');
  expect(await lines.next()).toBeUndefined();
  expect(await lines.next()).toBeUndefined();
});

test('what stands behind the last end of a line is a line', async () => {
  const { lines, stream } = open();
  stream.end('one\nlast');
  expect(await lines.next()).toBe('one');
  await turn();
  expect(await lines.next()).toBe('last');
  expect(await lines.next()).toBeUndefined();
});
