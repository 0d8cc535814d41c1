import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { adminRequest, findAdminSockets } from '../../src/cli/admin-client.ts';
import { AdminStub } from '../fixtures/admin-stub.ts';

let hub: AdminStub;

beforeEach(() => {
  hub = new AdminStub();
});

afterEach(() => hub.close());

describe('a request', () => {
  test('carries method, path and body', async () => {
    await hub.listen(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks).toString();
      response.end(JSON.stringify({ method: request.method, path: request.url, body }));
    });
    const answer = await adminRequest({
      sockets: [hub.socket],
      method: 'POST',
      path: '/devices',
      body: { id: 'tube-1' },
    });
    expect(answer).toEqual({ method: 'POST', path: '/devices', body: '{"id":"tube-1"}' });
  });

  test('with an empty answer resolves to null', async () => {
    await hub.listen((_, response) => void response.writeHead(204).end());
    expect(await adminRequest({ sockets: [hub.socket], method: 'DELETE', path: '/devices/x' })).toBeNull();
  });

  test('that the hub refuses rejects with the code of the hub', async () => {
    await hub.listen((_, response) => void response.writeHead(404).end('{"code":"device_unknown","detail":"tube-9"}'));
    await expect(adminRequest({ sockets: [hub.socket], method: 'GET', path: '/devices/tube-9' })).rejects.toMatchObject(
      {
        code: 'device_unknown',
        detail: 'tube-9',
      },
    );
  });

  test('that is refused with a code of no catalogue is an internal error', async () => {
    await hub.listen((_, response) => void response.writeHead(500).end('{"code":"toString"}'));
    await expect(adminRequest({ sockets: [hub.socket], method: 'GET', path: '/' })).rejects.toMatchObject({
      code: 'internal',
    });
  });

  test('to nobody is admin_unreachable', async () => {
    await expect(adminRequest({ sockets: [hub.socket], method: 'GET', path: '/' })).rejects.toMatchObject({
      code: 'admin_unreachable',
      detail: `${hub.socket} (ENOENT)`,
    });
  });

  test('tries the next socket where nothing listens at the first', async () => {
    await hub.listen((_, response) => void response.end('{}'));
    const sockets = [join(hub.folder, 'nobody.sock'), hub.socket];
    expect(await adminRequest({ sockets, method: 'GET', path: '/' })).toEqual({});
  });

  test('to a socket of somebody else is admin_forbidden, whatever comes next', async () => {
    const closed = join(hub.folder, 'closed');
    mkdirSync(closed, { mode: 0 });
    await hub.listen((_, response) => void response.end('{}'));
    const isRoot = process.geteuid?.() === 0;
    // Nothing is closed to root.
    if (isRoot) process.seteuid?.('nobody');
    try {
      const sockets = [join(closed, 'admin.sock'), hub.socket];
      await expect(adminRequest({ sockets, method: 'GET', path: '/' })).rejects.toMatchObject({
        code: 'admin_forbidden',
        detail: `${sockets[0]} (EACCES)`,
      });
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test('to something that is no hub is admin_unreachable', async () => {
    await hub.listen((_, response) => void response.end('<html>'));
    await expect(adminRequest({ sockets: [hub.socket], method: 'GET', path: '/' })).rejects.toMatchObject({
      code: 'admin_unreachable',
    });
  });

  test('whose answer has no end is given up, and its hub is not said to be down', async () => {
    await hub.listen((_, response) => {
      const chunk = Buffer.alloc(65_536, 0x20);
      const more = () => {
        while (response.write(chunk)) if (response.destroyed) return;
        response.once('drain', more);
      };
      more();
    });
    await expect(adminRequest({ sockets: [hub.socket], method: 'GET', path: '/' })).rejects.toMatchObject({
      code: 'admin_answer_too_large',
    });
  });
});

describe('the socket', () => {
  test('is the one asked for', () => {
    expect(findAdminSockets({ socket: '/x', environment: {} })).toEqual(['/x']);
  });

  test('is that of the configuration', () => {
    const config = join(hub.folder, 'latchkey.toml');
    writeFileSync(config, '[admin]\nsocket = "here.sock"');
    expect(findAdminSockets({ config, environment: {} })).toEqual([join(hub.folder, 'here.sock')]);
  });

  test('is that of an installed hub too, where the configuration names neither socket nor state folder', () => {
    const config = join(hub.folder, 'latchkey.toml');
    writeFileSync(config, '');
    const [own, ...others] = findAdminSockets({ config, environment: { HOME: hub.folder } });
    expect(own).toMatch(/admin\.sock$/);
    expect(others).toEqual(['/run/latchkey/admin.sock']);
  });

  test('is not that of an installed hub, where the configuration has a state folder of its own', () => {
    const config = join(hub.folder, 'latchkey.toml');
    writeFileSync(config, 'state_dir = "state"');
    expect(findAdminSockets({ config, environment: {} })).toEqual([join(hub.folder, 'state/admin.sock')]);
  });
});
