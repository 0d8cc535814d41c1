import { describe, expect, it } from 'vitest';
import { formatTcpAddress, parseLineAddress } from '../../../drivers/serial/line-port.ts';

describe('parseLineAddress', () => {
  it.each([
    ['/dev/serial/by-id/usb-FTDI-if00', { kind: 'tty', path: '/dev/serial/by-id/usb-FTDI-if00' }],
    ['tcp://127.0.0.1:4001', { kind: 'tcp', host: '127.0.0.1', port: 4001 }],
    ['tcp://ser2net.local:0', { kind: 'tcp', host: 'ser2net.local', port: 0 }],
    ['tcp://[::1]:65535', { kind: 'tcp', host: '::1', port: 65_535 }],
  ])('takes %s', (text, address) => {
    expect(parseLineAddress(text)).toEqual(address);
  });

  it.each([
    '',
    'ttyUSB0',
    './tty',
    'tcp://',
    'tcp://127.0.0.1',
    'tcp://:1',
    'tcp://a:',
    'tcp://a:99999',
    'tcp://a:1x',
    'tcp://a:1/b',
    'tcp://user@a:1',
    'tcp://::1:1',
    'tcp://a b:1',
    'udp://a:1',
  ])('refuses "%s": config_invalid', (text) => {
    expect(() => parseLineAddress(text)).toThrow(expect.objectContaining({ code: 'config_invalid' }));
  });

  it('takes what formatTcpAddress makes', () => {
    expect(parseLineAddress(formatTcpAddress('::1', 5))).toEqual({ kind: 'tcp', host: '::1', port: 5 });
    expect(parseLineAddress(formatTcpAddress('127.0.0.1', 5))).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 5 });
  });
});
