import { describe, expect, test } from 'vitest';
import { RouteTable } from '../../../drivers/http/route-table.ts';

const table = new RouteTable([
  { method: 'GET', path: '/devices' },
  { method: 'GET', path: '/devices/:id' },
  { method: 'DELETE', path: '/devices/:id' },
  { method: 'POST', path: '/devices/:id/coap/*' },
]);

function found(method: string, path: string): unknown {
  const { route, parameters } = table.find(method, path) ?? {};
  return route === undefined ? undefined : [route.path, parameters];
}

describe('a route is found', () => {
  test.each([
    ['GET', '/devices', '/devices', {}],
    ['GET', '/devices/tube-1', '/devices/:id', { id: 'tube-1' }],
    ['DELETE', '/devices/tube-1', '/devices/:id', { id: 'tube-1' }],
    ['GET', '/devices/a%2Fb', '/devices/:id', { id: 'a/b' }],
    ['GET', '/devices/%C3%A9', '/devices/:id', { id: 'é' }],
    ['GET', '/device%73', '/devices', {}],
    ['GET', '/devices/__proto__', '/devices/:id', { id: '__proto__' }],
    ['POST', '/devices/tube-1/coap/a/b%20c', '/devices/:id/coap/*', { id: 'tube-1', '*': 'a/b c' }],
    ['POST', '/devices/tube-1/coap/', '/devices/:id/coap/*', { id: 'tube-1', '*': '' }],
  ])('%s %s', (method, path, pattern, parameters) => {
    expect(found(method, path)).toEqual([pattern, parameters]);
  });
});

describe('nothing is found for', () => {
  test.each([
    ['another path', 'GET', '/device'],
    ['a slash at the end', 'GET', '/devices/'],
    ['a segment too many', 'GET', '/devices/tube-1/more'],
    ['an empty segment in place of a name', 'POST', '/devices//coap/a'],
    ['another case', 'GET', '/Devices'],
    ['a broken escape', 'GET', '/devices/%zz'],
    ['an escape that is no UTF-8', 'GET', '/devices/%ff'],
    ['another method', 'PUT', '/devices'],
    ['the star without its slash', 'POST', '/devices/tube-1/coap'],
    ['the empty path', 'GET', ''],
  ])('%s', (_name, method, path) => {
    expect(found(method, path)).toBeUndefined();
  });
});

test('a path that stands in the table as it is does not displace what comes before it', () => {
  const ordered = new RouteTable([
    { method: 'GET', path: '/devices/:id' },
    { method: 'GET', path: '/devices/all' },
  ]);
  expect(ordered.find('GET', '/devices/all')?.route.path).toBe('/devices/:id');
});

test('says which routes a path has', () => {
  expect(table.at('/devices/tube-1').map(({ method }) => method)).toEqual(['GET', 'DELETE']);
  expect(table.at('/nowhere')).toEqual([]);
  expect(table.at('/devices/%zz')).toEqual([]);
});
