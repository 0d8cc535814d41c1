/**
 * Members of a JWT header that are refused, unless the operator has a server that writes them without meaning anything by it:
 * a certificate that is not looked at, or `zip` of a payload that is not compressed. The hub obeys them in no case.
 */
export const IGNORABLE_HEADERS = ['x5c', 'zip', 'enc'] as const;
