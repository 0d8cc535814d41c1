/** What each claim of a CWT costs on the wire. */
import { type CwtClaims, encodeClaims } from '../codec/cwt.ts';

/** Claim names as the IANA registry spells them. */
const CLAIM_NAMES = {
  issuer: 'iss',
  subject: 'sub',
  audience: 'aud',
  expiresAt: 'exp',
  notBefore: 'nbf',
  issuedAt: 'iat',
  cwtId: 'cti',
  confirmation: 'cnf',
  scope: 'scope',
  aceProfile: 'ace_profile',
  cnonce: 'cnonce',
  expiresIn: 'exi',
} as const satisfies Record<keyof CwtClaims, string>;

/** Bytes by claim name, label and value together. */
export type ClaimCosts = Readonly<Record<string, number>>;

export function claimCosts(claims: CwtClaims): ClaimCosts {
  const costs: Record<string, number> = {};
  for (const member of Object.keys(CLAIM_NAMES) as (keyof CwtClaims)[]) {
    if (claims[member] === undefined) continue;
    // A map of one entry has a head of one byte.
    costs[CLAIM_NAMES[member]] = encodeClaims({ [member]: claims[member] }).length - 1;
  }
  return costs;
}

/** The three dearest, for a message: "cnf 78, aud 30, scope 24". */
export function describeCosts(costs: ClaimCosts): string {
  return Object.entries(costs)
    .sort(([, a], [, b]) => b - a)
    .slice(0, 3)
    .map(([claim, bytes]) => `${claim} ${bytes}`)
    .join(', ');
}
