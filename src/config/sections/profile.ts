/** Settings of a profile: what devices of one kind take, so that installers need not know it. */
import * as z from 'zod/mini';
import {
  CIPHERS,
  CTI_BYTES,
  MACS,
  MAX_TOKEN_BYTES,
  SCOPE_FORMS,
  SIGNATURES,
  WRAPS,
} from '../../core/device-profile.ts';
import { setting } from '../setting.ts';
import { flag, identifierUrl, oneOf, permission, profileName, shortText, whole } from '../values.ts';

export const profile = z.strictObject({
  name: setting(
    profileName,
    'What it is called: `latchkey pair --profile`, `latchkey devices add --profile`, and in QR text `&profile=`.',
    'tube',
  ),
  allow: setting(
    z
      .array(permission, { error: 'must be a list of permissions' })
      .check(z.minLength(1, { error: 'must permit something' }), z.maxLength(256, { error: 'must have at most 256' })),
    'What each scope permits: "scope=METHOD[,METHOD] path".',
    ['read=FETCH temperature', 'write=PUT led'],
  ),
  audience: setting(
    z._default(shortText(), 'coap://{id}'),
    'The `aud` of tokens for a device; {id} stands for its id.',
  ),
  issuers: setting(
    z.optional(z.array(identifierUrl, { error: 'must be a list of issuers' }).check(z.minLength(1))),
    'Issuers of [[issuers]] whose tokens open the devices. Needed where several are configured.',
    ['https://as.example'],
  ),
  any_issuer: setting(
    z._default(flag(), false),
    'Take tokens of every configured issuer, now and later. What it costs: each of them can open the devices.',
  ),
  wrap: setting(z._default(oneOf(WRAPS), 'mac0'), 'How their tokens are protected; a+b is a, inside of b.'),
  algorithm: setting(
    z.optional(oneOf([...SIGNATURES, ...MACS])),
    'Algorithm of the signature or MAC. Default: "ES256" for sign1, "HMAC 256/64" for mac0.',
    'HMAC 256/64',
  ),
  encryption: setting(z._default(oneOf(CIPHERS), 'AES-CCM-16-64-128'), 'Algorithm of what is encrypted.'),
  claims: setting(
    z._default(oneOf(['slim', 'full']), 'slim'),
    'Claims of their tokens: `full` has iss, sub and nbf too.',
  ),
  scope_form: setting(z._default(oneOf(SCOPE_FORMS), 'text'), 'How their tokens have the scope.'),
  max_token_bytes: setting(
    z._default(whole(MAX_TOKEN_BYTES.least, MAX_TOKEN_BYTES.most), 1_024),
    'Largest token that they take.',
  ),
  cti_bytes: setting(z._default(whole(CTI_BYTES.least, CTI_BYTES.most), 16), 'Length of the identifier of a token.'),
  cwt_tag: setting(z._default(flag(), false), 'Put CBOR tag 61 before their tokens.'),
  receipt: setting(
    z._default(flag(), true),
    'Whether they answer with a receipt. What `false` costs: the hub cannot tell that it was this device that answered.',
  ),
  clock: setting(
    z._default(flag(), true),
    'Whether they have a clock. Without one their tokens need `exi`, and a `cnonce` that the device gave (RFC 9200).',
  ),
});
