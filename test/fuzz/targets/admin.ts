/** JSON in requests over the admin socket, which the operator's own programs write. */
import { join } from 'node:path';
import { utf8 } from '../../../src/core/bytes.ts';
import type { HubUnderTest } from '../hub-under-test.ts';
import { exchange } from '../raw-connection.ts';
import type { FuzzTarget } from '../target.ts';

function request(line: string, body: Uint8Array): Buffer {
  const head = `${line} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}

export function adminTarget(test: HubUnderTest): FuzzTarget {
  const to = { path: join(test.folder.path, 'state', 'admin.sock') };
  return {
    name: 'admin-json',
    seeds: [
      utf8(
        '{"id":"tube-1","audience":"coap://tube-1","line":"bench","profile":{"scopes":["read"],"permissions":{"read":[["temperature",16]]}}}',
      ),
      utf8(
        '{"id":"ekg-1","audience":"https://ekg-1.ward.example","profile":{},"certificate":"-----BEGIN CERTIFICATE-----"}',
      ),
    ],
    batch: 200,
    parallel: 8,
    async send(input) {
      await exchange(to, request('POST /devices', input));
    },
    async honest() {
      const answer = await exchange(to, request('GET /status', new Uint8Array(0)), 5_000);
      if (!answer.toString().startsWith('HTTP/1.1 200')) throw new Error(`status: ${answer.toString().slice(0, 500)}`);
    },
    async close() {
      // Each exchange has a connection of its own.
    },
  };
}
