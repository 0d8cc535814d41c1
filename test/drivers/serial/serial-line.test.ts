import { describe, expect, it } from 'vitest';
import { openSerialLine, type SerialLine, type SerialLineOptions } from '../../../drivers/serial/serial-line.ts';
import { decodeMessage, emptyMessage, encodeMessage } from '../../../src/codec/coap/message.ts';
import { COAP_CODE, COAP_METHOD, COAP_TYPE } from '../../../src/codec/iana.ts';
import { encodeDiagnostic, encodeSlipmux, SlipmuxDecoder } from '../../../src/codec/slipmux.ts';
import { fromHex, utf8 } from '../../../src/core/bytes.ts';
import { LatchkeyError } from '../../../src/core/errors.ts';
import { LIMITS } from '../../../src/core/limits.ts';
import { type FakePort, FakePorts } from '../../fakes/fake-ports.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { QuietLog } from '../../fakes/quiet-log.ts';

const get = { method: COAP_METHOD.GET, path: ['temperature'] };
const ping = encodeSlipmux(encodeMessage(emptyMessage(COAP_TYPE.CON, 1)));

interface Bench {
  readonly time: FakeTime;
  readonly ports: FakePorts;
  readonly log: QuietLog;
  readonly line: SerialLine;
  readonly sightings: number[];
}

async function bench(options: Partial<SerialLineOptions> = {}, prepare?: (ports: FakePorts) => void): Promise<Bench> {
  const time = new FakeTime();
  time.setFraction(1);
  const ports = new FakePorts(() => time.monotonic());
  prepare?.(ports);
  const log = new QuietLog();
  const line = openSerialLine({
    name: 'tube',
    path: '/dev/ttyUSB0',
    timers: time,
    clock: time,
    random: time,
    log,
    openPort: ports.open,
    ...options,
  });
  const sightings: number[] = [];
  line.onSighting(() => sightings.push(time.monotonic()));
  await time.advance(0);
  return { time, ports, log, line, sightings };
}

function outcomeOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch((error: unknown) => (error instanceof LatchkeyError ? error.code : error));
}

/** Answers the request in the last frame written with 2.05. */
function answer(port: FakePort): void {
  const frame = port.written.at(-1) ?? new Uint8Array(0);
  new SlipmuxDecoder().push(frame, {
    onCoap: (bytes) => {
      const { messageId, token } = decodeMessage(bytes);
      const message = { type: COAP_TYPE.ACK, code: COAP_CODE.content, messageId, token, options: [], payload: token };
      port.events.onData(encodeSlipmux(encodeMessage(message)));
    },
    onDiagnostic: () => undefined,
    onNoise: () => undefined,
  });
}

describe('opening', () => {
  it('happens at once, and is a sighting', async () => {
    const { line, sightings, ports } = await bench();
    expect(line.isUp()).toBe(true);
    expect(line.health()).toMatchObject({ up: true, code: undefined, detail: undefined, troubles: [] });
    expect(sightings).toEqual([0]);
    await line.close();
    expect(ports.last().destroyed).toBe(true);
  });

  it('is tried again with doubled waits up to the cap', async () => {
    const { time, ports, line, sightings } = await bench({}, (fresh) => {
      fresh.failure = new LatchkeyError('link_down', 'ENOENT');
    });
    await time.advance(120_000);
    const waits = ports.attemptsAt.slice(1).map((at, index) => at - (ports.attemptsAt[index] ?? 0));
    expect(waits.slice(0, 9)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    expect(sightings).toEqual([]);
    ports.failure = undefined;
    await time.advance(30_000);
    expect(sightings).toHaveLength(1);
    await line.close();
    expect(time.pendingTimers).toBe(0);
  });

  it('draws each wait from its upper half', async () => {
    const { time, ports } = await bench({}, (fresh) => {
      fresh.failure = new LatchkeyError('link_down', 'ENOENT');
    });
    time.setFraction(0);
    await time.advance(250 + 250);
    expect(ports.attemptsAt).toEqual([0, 250, 500]);
  });

  it('warns once for a reason, however often it fails', async () => {
    const { time, log } = await bench({}, (ports) => {
      ports.failure = new LatchkeyError('link_down', 'ENOENT');
    });
    await time.advance(600_000);
    expect(log.lines.filter(({ level }) => level === 'warn')).toMatchObject([
      { fields: { line: 'tube', code: 'link_down', detail: 'ENOENT' } },
    ]);
  });

  it('says line_permission where the system forbids it', async () => {
    const { line } = await bench({}, (ports) => {
      ports.failure = new LatchkeyError('line_permission', 'EACCES');
    });
    expect(line.health()).toMatchObject({ up: false, code: 'line_permission', detail: 'EACCES' });
    expect(await outcomeOf(line.request(get, { deadline: 1_000 }))).toBe('line_permission');
  });

  it('is given up when it hangs, and tried again', async () => {
    const { time, ports, line } = await bench({}, (fresh) => {
      fresh.hangs = true;
    });
    await time.advance(10_000);
    ports.hangs = false;
    await time.advance(250);
    expect(line.isUp()).toBe(true);
    expect(line.counters()).toMatchObject({ openFailed: 1, opened: 1 });
  });

  it('is over at once when the line closes while it hangs', async () => {
    const { time, line } = await bench({}, (ports) => {
      ports.hangs = true;
    });
    await line.close();
    await time.advance(60_000);
    expect(line.isUp()).toBe(false);
    expect(time.pendingTimers).toBe(0);
  });
});

describe('losing the line', () => {
  it('ends what was sent with device_answer_lost, and opens again', async () => {
    const { time, ports, line, sightings } = await bench();
    const request = outcomeOf(line.request(get, { deadline: 60_000 }));
    ports.last().events.onClosed('unplugged');
    expect(await request).toBe('device_answer_lost');
    expect(line.health()).toMatchObject({ up: false, code: 'link_down', detail: 'unplugged' });
    expect(await outcomeOf(line.request(get, { deadline: 60_000 }))).toBe('link_down');
    await time.advance(250);
    expect(line.isUp()).toBe(true);
    expect(sightings).toEqual([0, 250]);
    expect(line.counters()).toMatchObject({ opened: 2, lost: 1 });
  });

  it('keeps backing off while the line opens and closes at once', async () => {
    const { time, ports } = await bench();
    for (let round = 0; round < 4; round += 1) {
      ports.last().events.onClosed('end of file');
      await time.advance(250 * 2 ** round);
    }
    expect(ports.attemptsAt).toEqual([0, 250, 750, 1_750, 3_750]);
  });

  it('keeps backing off from a line that brings a frame each time and closes', async () => {
    const { time, ports } = await bench();
    for (let round = 0; round < 4; round += 1) {
      ports.last().events.onData(ping);
      ports.last().events.onClosed('end of file');
      await time.advance(250 * 2 ** round);
    }
    expect(ports.attemptsAt).toEqual([0, 250, 750, 1_750, 3_750]);
  });

  it('starts with short waits again after a line that lasted', async () => {
    const { time, ports } = await bench();
    ports.last().events.onClosed('end of file');
    await time.advance(250);
    ports.last().events.onData(ping);
    await time.advance(10_000);
    ports.last().events.onClosed('end of file');
    await time.advance(250);
    expect(ports.attemptsAt).toEqual([0, 250, 10_500]);
  });

  it('forgets a frame that was half way in', async () => {
    const { time, ports, line } = await bench();
    ports.last().events.onData(ping.subarray(0, 4));
    ports.last().events.onClosed('unplugged');
    await time.advance(250);
    ports.last().events.onData(ping.subarray(4));
    ports.last().events.onData(ping);
    expect(line.counters()).toMatchObject({ framesReceived: 1, framesForeign: 1 });
  });

  it('does not reopen when it was lost by close', async () => {
    const { time, ports, line } = await bench();
    await line.close();
    await time.advance(600_000);
    expect(ports.attemptsAt).toEqual([0]);
    expect(line.isUp()).toBe(false);
    expect(await outcomeOf(line.request(get, { deadline: 1 }))).toBe('link_down');
  });

  it('waits for a port that does not close no longer than its deadline', async () => {
    const { time, ports, line } = await bench();
    ports.last().closes = false;
    let closed = false;
    void line.close().then(() => {
      closed = true;
    });
    await time.advance(1_999);
    expect(closed).toBe(false);
    await time.advance(1);
    expect(closed).toBe(true);
    expect(time.pendingTimers).toBe(0);
  });
});

describe('a hung line', () => {
  it('is closed and opened again when a write does not leave', async () => {
    const { time, ports, line } = await bench();
    ports.last().drains = false;
    const request = outcomeOf(line.request(get, { deadline: 60_000 }));
    await time.advance(6_000);
    expect(await request).toBe('device_answer_lost');
    expect(ports.opened).toHaveLength(2);
    expect(line.counters()).toMatchObject({ hung: 1, lost: 1 });
  });

  it('is not one whose writes leave one after the other', async () => {
    const { time, ports, line } = await bench();
    const port = ports.last();
    port.drains = false;
    for (let id = 0; id < 4; id += 1) {
      port.events.onData(encodeSlipmux(encodeMessage(emptyMessage(COAP_TYPE.CON, id))));
    }
    for (let write = 0; write < 4; write += 1) {
      await time.advance(4_900);
      port.drainOne();
    }
    await time.advance(60_000);
    expect(line.counters().hung).toBe(0);
  });

  it('gets no more bytes than the limit', async () => {
    const { ports, line } = await bench();
    const port = ports.last();
    port.drains = false;
    for (let id = 0; id < 10_000; id += 1) {
      port.events.onData(encodeSlipmux(encodeMessage(emptyMessage(COAP_TYPE.CON, id))));
    }
    const waiting = port.written.reduce((sum, { length }) => sum + length, 0);
    expect(waiting).toBeLessThanOrEqual(LIMITS.lineWriteBytes);
    expect(line.counters().framesNotSent).toBeGreaterThan(0);
  });
});

describe('sightings', () => {
  it('come when a frame is heard after a silence, and not in between', async () => {
    const { time, ports, sightings } = await bench();
    await time.advance(1_000);
    ports.last().events.onData(ping);
    await time.advance(30_000);
    ports.last().events.onData(ping);
    await time.advance(30_001);
    ports.last().events.onData(ping);
    expect(sightings).toEqual([0, 1_000, 61_001]);
  });

  it('do not come of noise', async () => {
    const { time, ports, sightings } = await bench();
    await time.advance(60_000);
    ports.last().events.onData(fromHex('c0a940010000bc39c0'));
    ports.last().events.onData(time.bytes(1_000));
    expect(sightings).toEqual([0]);
  });

  it('reach the other listeners when one fails, and the failure the log', async () => {
    const { time, ports, line, log, sightings } = await bench();
    line.onSighting(() => {
      throw new Error('no');
    });
    let reached = 0;
    const stop = line.onSighting(() => {
      reached += 1;
    });
    await time.advance(60_000);
    ports.last().events.onData(ping);
    stop();
    await time.advance(60_000);
    ports.last().events.onData(ping);
    expect(reached).toBe(1);
    expect(sightings).toHaveLength(3);
    expect(log.lines.filter(({ level }) => level === 'error')).toHaveLength(2);
  });
});

describe('a network line that is silent', () => {
  async function askInVain(line: SerialLine, time: FakeTime, times: number): Promise<void> {
    for (let round = 0; round < times; round += 1) {
      const request = outcomeOf(line.request(get, { deadline: 1_000 }));
      await time.advance(1_000);
      expect(await request).toBe('device_no_answer');
    }
  }

  it('is opened again after several requests, without a sighting', async () => {
    const { time, ports, line, sightings } = await bench({ path: 'tcp://ser2net:4001' });
    await askInVain(line, time, 3);
    await time.advance(250);
    expect(ports.opened).toHaveLength(2);
    expect(line.isUp()).toBe(true);
    expect(sightings).toEqual([0]);
  });

  it('gives a sighting when it was really gone', async () => {
    const { time, ports, line, sightings } = await bench({ path: 'tcp://ser2net:4001' });
    await askInVain(line, time, 3);
    ports.failure = new LatchkeyError('link_down', 'EHOSTUNREACH');
    await time.advance(250);
    ports.failure = undefined;
    await time.advance(500);
    expect(sightings).toHaveLength(2);
  });

  it('stays open while anything at all is heard', async () => {
    const { time, ports, line } = await bench({ path: 'tcp://ser2net:4001' });
    for (let round = 0; round < 5; round += 1) {
      const request = outcomeOf(line.request(get, { deadline: 1_000 }));
      ports.last().events.onData(fromHex('00'));
      await time.advance(1_000);
      expect(await request).toBe('device_no_answer');
    }
    expect(ports.opened).toHaveLength(1);
  });

  it('stays open where it is a tty', async () => {
    const { time, ports, line } = await bench();
    await askInVain(line, time, 5);
    expect(ports.opened).toHaveLength(1);
  });
});

describe('a line that brings in more than a line can', () => {
  const some = new Uint8Array(LIMITS.lineReadBytes);

  it('is made to wait, and goes on', async () => {
    const { time, ports, line } = await bench();
    ports.last().events.onData(some);
    expect(ports.last().flowing).toBe(true);
    ports.last().events.onData(ping);
    expect(ports.last().flowing).toBe(false);
    await time.advance(100);
    expect(ports.last().flowing).toBe(false);
    await time.advance(10);
    expect(ports.last().flowing).toBe(true);
    expect(line.counters()).toMatchObject({ slowedDown: 1, framesReceived: 1 });
  });

  it('waits longer for more', async () => {
    const { time, ports } = await bench();
    ports.last().events.onData(new Uint8Array(4 * LIMITS.lineReadBytes));
    await time.advance(399);
    expect(ports.last().flowing).toBe(false);
    await time.advance(1);
    expect(ports.last().flowing).toBe(true);
  });

  it('is not held up at what a fast UART brings', async () => {
    const { time, ports, line } = await bench();
    for (let count = 0; count < 100; count += 1) {
      ports.last().events.onData(some.subarray(0, 921_600 / 10 / 100));
      await time.advance(10);
    }
    expect(line.counters()).toMatchObject({ slowedDown: 0 });
  });

  it('leaves no timer behind', async () => {
    const { time, ports, line } = await bench();
    ports.last().events.onData(new Uint8Array(4 * LIMITS.lineReadBytes));
    await line.close();
    expect(time.pendingTimers).toBe(0);
  });
});

describe('the log', () => {
  it('holds what the device says, on one printable line', async () => {
    const { ports, log } = await bench();
    ports.last().events.onData(encodeDiagnostic(utf8('\u001b]0;x\u0007a\nb\u202e\u2028\u00e9')));
    expect(log.lines.at(-1)).toMatchObject({
      level: 'info',
      fields: { line: 'tube', text: '\\u001b]0;x\\u0007a\\u000ab\\u202e\\u2028\u00e9' },
    });
  });

  it('holds so many texts a minute and no more', async () => {
    const { time, ports, log, line } = await bench();
    const says = () => log.lines.filter(({ message }) => message === 'the device says').length;
    for (let count = 0; count < 100; count += 1) ports.last().events.onData(encodeDiagnostic(utf8(`${count}`)));
    expect(says()).toBe(LIMITS.diagnosticsPerMinute);
    expect(line.counters()).toMatchObject({ diagnostics: 100, diagnosticsDropped: 40 });
    await time.advance(60_000);
    ports.last().events.onData(encodeDiagnostic(utf8('again')));
    expect(says()).toBe(LIMITS.diagnosticsPerMinute + 1);
  });

  it.each([
    ['a refusal', new LatchkeyError('proof_replayed', 'seen before'), { level: 'info', code: 'proof_replayed' }],
    ['a defect of ours', new Error('no'), { level: 'error', code: 'internal' }],
  ])('holds why a request of the device failed: %s', async (_, error, { level, code }) => {
    const { time, ports, log } = await bench({ handler: () => Promise.reject(error) });
    ports.last().events.onData(encodeSlipmux(fromHex('40010001')));
    await time.advance(0);
    expect(log.lines.at(-1)).toMatchObject({ level, fields: { line: 'tube', code } });
  });

  it('never holds a payload', async () => {
    const { time, ports, log, line } = await bench();
    const canary = utf8('canary-4711');
    const request = outcomeOf(line.request({ method: 2, path: ['authz-info'], payload: canary }, { deadline: 1_000 }));
    const frame = ports.last().written[0] ?? new Uint8Array(0);
    ports.last().events.onData(frame);
    ports.last().events.onData(frame.subarray(0, 20));
    ports.last().events.onData(fromHex('c0'));
    await time.advance(1_000);
    await request;
    ports.last().events.onClosed('unplugged');
    await line.close();
    expect(JSON.stringify(log.lines)).not.toContain('canary');
  });
});

describe('counters', () => {
  it('go on over openings, those of CoAP too', async () => {
    const { time, ports, line } = await bench();
    for (let round = 0; round < 2; round += 1) {
      const request = line.request(get, { deadline: 1_000 });
      answer(ports.last());
      expect((await request).code).toBe(COAP_CODE.content);
      ports.last().events.onClosed('unplugged');
      await time.advance(1_000);
    }
    expect(line.counters()).toMatchObject({
      opened: 3,
      lost: 2,
      framesSent: 2,
      framesReceived: 2,
      coapSent: 2,
      coapReceived: 2,
      coapUnmatched: 0,
    });
  });
});

describe('a line that is in trouble says so, until it is over', () => {
  const NOISE = Uint8Array.of(0xc0, 0x45, 0x00, 0xc0);
  const ENDLESS_ESCAPES = new Uint8Array(64 * LIMITS.slipFrameBytes).fill(0xdb);

  it.each([
    ['frames that are neither CoAP nor text', Array.from({ length: 40 }, () => NOISE)],
    ['a frame without an end', Array.from({ length: 40 }, () => new Uint8Array(LIMITS.slipFrameBytes).fill(0x55))],
    ['escapes without an end', Array.from({ length: 40 }, () => ENDLESS_ESCAPES.subarray(0, LIMITS.slipFrameBytes))],
  ])('with %s', async (_, chunks) => {
    const { line, ports, time } = await bench();
    for (const chunk of chunks) {
      ports.last().events.onData(chunk);
      await time.advance(200);
    }
    expect(line.health()).toMatchObject({ up: true, troubles: ['line_noisy'] });
    await time.advance(61_000);
    expect(line.health()).toMatchObject({ up: true, troubles: [] });
    await line.close();
  });

  it('where it has to be made to wait', async () => {
    const { line, ports, time } = await bench();
    ports.last().events.onData(new Uint8Array(2 * LIMITS.lineReadBytes));
    await time.advance(1_000);
    expect(line.health().troubles).toContain('line_slowed');
    await time.advance(61_000);
    expect(line.health().troubles).toEqual([]);
    await line.close();
  });

  it('and not with a few bad frames among many good ones, nor while it is down', async () => {
    const { line, ports, time } = await bench();
    for (let count = 0; count < 400; count += 1) {
      ports.last().events.onData(ping);
      if (count % 20 === 0) ports.last().events.onData(NOISE);
      await time.advance(1);
    }
    expect(line.health().troubles).toEqual([]);
    for (let count = 0; count < 40; count += 1) ports.last().events.onData(NOISE);
    expect(line.health().troubles).toEqual(['line_noisy']);
    ports.last().events.onClosed('unplugged');
    expect(line.health()).toMatchObject({ up: false, code: 'link_down', troubles: [] });
    await line.close();
  });
});
