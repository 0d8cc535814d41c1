/** What `latchkey token check` makes of the tokens of real servers: the one remedy, or the reason why there is none. */
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import { DEFAULT_SCOPE_PATTERN } from '../../../src/core/scope-pattern.ts';
import { type Explanation, explainToken, readParts, unreadable } from '../../../src/flows/explain/explain-token.ts';
import { unknownIssuer } from '../../../src/flows/explain/unknown-issuer.ts';
import { policyOf } from '../../../src/hub/settings.ts';
import { deviceProfile } from '../../fixtures/verified-token.ts';
import { REASONS, REMEDIES } from './remedies.ts';
import { DEVICE, NOW, type Shape } from './shape.ts';
import { keys, recipeOf, SHAPES, tokenOf } from './table.ts';

const ORIGIN = { file: 'test.toml', folder: '/', environment: { HOME: '/' } };

type Issuers = Config['issuers'];

function byDefault({ dialect }: Shape): Issuers {
  return recipeOf(dialect).issuers.flatMap(
    ({ issuer }) =>
      parseConfig(`[[issuers]]\nissuer = "${issuer}"\njwks_url = "https://as.example/jwks"`, ORIGIN).issuers,
  );
}

function byRecipe({ dialect, settings = '' }: Shape): Issuers {
  return recipeOf(dialect).with(settings);
}

/** As the command goes about it. */
async function explained(shape: Shape, issuers: Issuers): Promise<Explanation> {
  const jwt = await tokenOf(shape);
  const parts = readParts(jwt);
  if (parts === undefined) return unreadable(jwt, { takesTokens: true });
  const settings = issuers.find((one) => one.issuer === shape.claims.iss);
  if (settings === undefined) {
    const device = { id: 'tube-1', issuers: 'any' } as const;
    return unknownIssuer(parts, { configured: issuers.map(({ issuer }) => issuer), device });
  }
  const { audience = DEVICE, scope = ['read'] } = shape;
  return explainToken(jwt, {
    policy: policyOf(settings),
    rebuild: (changes) => policyOf({ ...settings, ...changes }),
    keys,
    keysAge: 0,
    device: { id: 'tube-1', audience, profile: deviceProfile({ scopes: [...scope] }), takesTokens: true },
    names: { has: (id) => id === 'tube-1', withAudience: (one) => (one === audience ? 'tube-1' : undefined) },
    time: { earliest: NOW, latest: NOW },
  });
}

const DEFAULTS: ReadonlyMap<string, unknown> = new Map([['scopePattern', DEFAULT_SCOPE_PATTERN]]);

/** What the lines of a remedy set, by the names that the hub reads them under. */
function settingsOf(lines: readonly string[]): readonly (readonly [keyof Issuers[number], unknown])[] {
  const [settings] = parseConfig(`[[issuers]]\nissuer = "https://as.example"\n${lines.join('\n')}`, ORIGIN).issuers;
  return lines.map((line) => {
    const name = line
      .slice(0, line.indexOf(' '))
      .replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()) as keyof Issuers[number];
    return [name, settings?.[name]] as const;
  });
}

const refusedByDefault = SHAPES.filter((one) => one.byDefault !== 'delivered');
const lifted = refusedByDefault.filter((one) => one.underDialect === 'delivered');
const refused = SHAPES.filter((one) => one.underDialect !== 'delivered');

describe('names what would have a token accepted', () => {
  test.each(lifted)('$name', async (shape) => {
    const { accepted, code, reason, remedy } = await explained(shape, byDefault(shape));
    expect({ accepted, code, reason }).toEqual({ accepted: false, code: shape.byDefault, reason: undefined });
    expect(remedy?.settings).toEqual(REMEDIES[shape.name]);
    // Each price is that of a setting that is named.
    const costly = remedy?.settings.filter((line) => /^(bind|token_types)/.test(line)) ?? [];
    expect(remedy?.prices).toHaveLength(costly.length);
    const recipes = byRecipe(shape);
    const recipe = recipes.find((one) => one.issuer === shape.claims.iss) ?? recipes[0];
    for (const [name, value] of settingsOf(remedy?.settings ?? [])) {
      const meant = recipe?.[name] ?? DEFAULTS.get(name);
      if (Array.isArray(value)) expect(value).toEqual(expect.arrayContaining(meant as unknown[]));
      else expect(value, name).toEqual(meant);
    }
  });
});

describe('names no setting, and the one thing to do, for what must stay refused', () => {
  test.each(refused)('$name', async (shape) => {
    const { [shape.name]: [byDefaultSays, byRecipeSays = byDefaultSays] = [] } = REASONS;
    for (const [issuers, code, says] of [
      [byDefault(shape), shape.byDefault, byDefaultSays],
      [byRecipe(shape), shape.underDialect, byRecipeSays],
    ] as const) {
      const found = await explained(shape, issuers);
      expect(found).toMatchObject({ accepted: false, code, remedy: undefined });
      if (says instanceof RegExp) expect(found.reason).toMatch(says);
      else expect(found.reason).toBe(says);
    }
  });
});

test('the tables name every refused shape, and no other', () => {
  expect(Object.keys(REMEDIES).toSorted()).toEqual(lifted.map(({ name }) => name).toSorted());
  expect(Object.keys(REASONS).toSorted()).toEqual(refused.map(({ name }) => name).toSorted());
});

test.each(SHAPES.filter((one) => one.byDefault === 'delivered'))('accepts $name', async (shape) => {
  const { accepted, steps } = await explained(shape, byDefault(shape));
  expect(accepted).toBe(true);
  expect(steps.map(({ result }) => result)).toEqual(steps.map(() => 'good'));
});

test('a token without a key is accepted on conditions that a running hub alone knows', async () => {
  const shape = SHAPES.find(({ name }) => name === 'Hydra, a machine');
  if (shape === undefined) throw new Error('the shape is gone');
  const { accepted, steps } = await explained(shape, byRecipe(shape));
  expect(accepted).toBe(true);
  expect(steps.find(({ step }) => step === 'confirmation')?.says).toBe(
    'cnf is missing, bind is "first-presenter"; if no other key presented it, and it was issued more than 60 s after the start of the hub (else token_bound_elsewhere, token_binding_unknown)',
  );
});
