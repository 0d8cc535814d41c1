import { COAP_CODE } from '../codec/iana.ts';

/** Why nothing was done, with the code that goes back: what a stranger could learn from is one and the same. */
export const SETUP_REFUSALS = {
  format_unsupported: COAP_CODE.unsupportedContentFormat,
  unparsable: COAP_CODE.badRequest,
  setup_code_dead: COAP_CODE.forbidden,
  not_authentic: COAP_CODE.unauthorized,
  trust_unacceptable: COAP_CODE.badRequest,
  not_paired: COAP_CODE.forbidden,
} as const;
export type SetupRefusal = keyof typeof SETUP_REFUSALS;
