/** Pairing on the admin socket. A setup code comes in a body and in no address, and goes into a Secret at once. */
import { LatchkeyError } from '../../src/core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../src/core/json.ts';
import { LIMITS } from '../../src/core/limits.ts';
import { Secret } from '../../src/core/secret.ts';
import type { PairDraft, Pairing, PairRequest, WindowRequest } from '../../src/ports/pairing.ts';
import { issuersOf, optionalText, parse, text } from './admin-body.ts';
import type { Route } from './server.ts';

const PATH = '/pairing';

export function pairingRoutes(pairing: Pairing): readonly Route[] {
  const { adminBodyBytes: bodyBytes } = LIMITS;
  return [
    { method: 'GET', path: PATH, handle: async () => ({ status: 200, body: await pairing.view() }) },
    {
      method: 'POST',
      path: PATH,
      bodyBytes,
      handle: async ({ body }) => ({ status: 201, body: await pairing.open(windowOf(body)) }),
    },
    {
      method: 'DELETE',
      path: PATH,
      handle: async () => {
        await pairing.close();
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      path: `${PATH}/identify`,
      bodyBytes,
      handle: async ({ body }) => {
        await pairing.identify(text(parse(body).candidate, 'candidate'));
        return { status: 204 };
      },
    },
    {
      method: 'POST',
      path: `${PATH}/devices`,
      bodyBytes,
      handle: async ({ body }) => ({ status: 201, body: await pairing.pair(pairRequestOf(body)) }),
    },
  ];
}

function windowOf(bytes: Uint8Array): WindowRequest {
  const { device, medium, name, seconds } = parse(bytes);
  if (typeof seconds !== 'number') throw new LatchkeyError('request_invalid', 'seconds');
  if (name !== undefined && medium === undefined) throw new LatchkeyError('request_invalid', 'a name needs a medium');
  if (device !== undefined && !isJsonObject(device)) throw new LatchkeyError('request_invalid', 'device');
  return {
    seconds,
    medium: mediumOf(medium),
    name: optionalText(name, 'name'),
    device: device === undefined ? undefined : draftOf(device),
  };
}

function mediumOf(value: JsonValue | undefined): 'line' | 'ble' | undefined {
  if (value !== undefined && value !== 'line' && value !== 'ble') throw new LatchkeyError('request_invalid', 'medium');
  return value;
}

function pairRequestOf(bytes: Uint8Array): PairRequest {
  const { candidate, code, ...draft } = parse(bytes);
  return {
    code: new Secret(text(code, 'code')),
    candidate: optionalText(candidate, 'candidate'),
    ...draftOf(draft),
  };
}

function draftOf({ audience, id, issuers, name, profile, profileName }: JsonObject): PairDraft {
  if (!isJsonObject(profile)) throw new LatchkeyError('request_invalid', 'profile');
  return {
    id: optionalText(id, 'id'),
    audience: optionalText(audience, 'audience'),
    name: optionalText(name, 'name'),
    profile,
    profileName: optionalText(profileName, 'profileName'),
    ...(issuers === undefined ? {} : { issuers: issuersOf(issuers) }),
  };
}
