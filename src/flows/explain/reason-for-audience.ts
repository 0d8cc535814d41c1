/** For whom a token has to be, and how its server is made to write that. */
import type { ErrorCode } from '../../core/error-catalogue.ts';
import { shown } from '../../core/shown.ts';
import type { SharedAudience } from '../../trust/addressee.ts';
import { DIALECTS } from '../../trust/dialects.ts';
import { dialectOfToken } from '../../trust/recognise-dialect.ts';
import { recipeFor } from './recipes.ts';
import type { RemedySearch } from './remedy.ts';
import type { TriedDevice } from './try-token.ts';

export function reasonForAudience(
  code: ErrorCode,
  { claims, device, header, policy }: Pick<RemedySearch, 'claims' | 'device' | 'header' | 'policy'>,
): string {
  const { aud } = claims;
  if (code === 'device_unnamed' && policy.sharedAudience !== undefined) {
    return `The shared audience is right, and the token does not name this device: ${asking(device, policy.sharedAudience)}.`;
  }
  const recipe = recipeFor(header, claims, policy.dialect);
  const dialect = dialectOfToken(header, claims, policy.dialect);
  const { audienceClaims } = dialect === undefined ? policy : DIALECTS[dialect];
  // Other servers leave out `aud` where they were told no audience: the client is no device.
  const client = audienceClaims.includes('client_id') ? claims.client_id : undefined;
  if (aud === undefined && client !== undefined && URL.canParse(device.audience)) {
    return `The token has no aud, and the device is registered as "${device.audience}": name the device by its app client, here ${shown(client)}, or by a scope${recipe}.`;
  }
  if (aud === undefined && client !== undefined) {
    return `Without aud the token is for its app client, ${shown(client)}: use a token of the client "${device.audience}", or register the device with --audience ${shown(client)}${recipe}.`;
  }
  const named = aud === undefined || (Array.isArray(aud) && aud.length === 0) ? 'nobody' : shown(aud);
  return `The token is for ${named} and not for this device: ask the server for a token with the audience "${device.audience}"${recipe}.`;
}

function asking({ id, profile }: TriedDevice, { naming }: SharedAudience): string {
  switch (naming.by) {
    case 'scope': {
      const { deviceFirst, prefix, separator, suffix } = naming.pattern;
      const [scope = ''] = profile.scopes;
      const [first, second] = deviceFirst ? [id, scope] : [scope, id];
      return `ask the server for the scope "${prefix}${first}${separator}${second}${suffix}"`;
    }
    case 'claim':
      return `have the server write "${id}" into the claim ${naming.claim}`;
    case 'authorization_details':
      return `ask with authorization_details of type "${naming.type}" and the identifier "${id}"`;
  }
}
