/** What `latchkey token check` makes of the tokens of real servers under the settings that an issuer has by default. */
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { DEFAULT_SCOPE_PATTERN } from '../../../src/core/scope-pattern.ts';
import { explainToken } from '../../../src/flows/explain/explain-token.ts';
import { policyOf } from '../../../src/hub/settings.ts';
import { deviceProfile } from '../../fixtures/verified-token.ts';
import { DEVICE, NOW, type Shape } from './shape.ts';
import { keys, recipeOf, SHAPES, tokenOf } from './table.ts';

const ORIGIN = { file: 'test.toml', folder: '/', environment: { HOME: '/' } };

function explained(jwt: string, shape: Shape) {
  const recipes = recipeOf(shape.dialect).issuers;
  const issuer = (recipes.find((one) => one.issuer === shape.claims.iss) ?? recipes[0])?.issuer ?? '';
  const [settings] = parseConfig(
    `[[issuers]]\nissuer = "${issuer}"\njwks_url = "https://as.example/jwks"`,
    ORIGIN,
  ).issuers;
  if (settings === undefined) throw new Error('no issuer');
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

type Settings = ReturnType<typeof parseConfig>['issuers'][number];

/** What the lines of a remedy set, by the names that the hub reads them under. */
function settingsOf(lines: readonly string[]): readonly (readonly [keyof Settings, unknown])[] {
  const [settings] = parseConfig(`[[issuers]]\nissuer = "https://as.example"\n${lines.join('\n')}`, ORIGIN).issuers;
  return lines.map((line) => {
    const name = line
      .slice(0, line.indexOf(' '))
      .replace(/_(.)/g, (_, letter: string) => letter.toUpperCase()) as keyof Settings;
    return [name, settings?.[name]] as const;
  });
}

describe('names what would have a token accepted', () => {
  const lifted = SHAPES.filter((one) => one.byDefault !== 'delivered' && one.underDialect === 'delivered');

  test.each(lifted)('$name', async (shape) => {
    const { accepted, code, reason, remedy } = explained(await tokenOf(shape), shape);
    expect({ accepted, code, reason }).toEqual({ accepted: false, code: shape.byDefault, reason: undefined });
    expect(remedy).toBeDefined();
    const named = settingsOf(remedy?.settings ?? []);
    const recipes = recipeOf(shape.dialect).with(shape.settings ?? '');
    const recipe = recipes.find((one) => one.issuer === shape.claims.iss) ?? recipes[0];
    for (const [name, value] of named) {
      const meant = recipe?.[name] ?? DEFAULTS.get(name);
      if (Array.isArray(value)) expect(value).toEqual(expect.arrayContaining(meant as unknown[]));
      else expect(value, name).toEqual(meant);
    }
  });
});

describe('names nothing, and says why, for what must stay refused', () => {
  const refused = SHAPES.filter((one) => one.underDialect !== 'delivered' && one.byDefault !== 'delivered');

  test.each(refused)('$name', async (shape) => {
    const { accepted, reason, remedy } = explained(await tokenOf(shape), shape);
    expect({ accepted, remedy }).toEqual({ accepted: false, remedy: undefined });
    expect(reason).toMatch(/\.$/);
  });
});

test.each(SHAPES.filter((one) => one.byDefault === 'delivered'))('accepts $name', async (shape) => {
  const { accepted, steps } = explained(await tokenOf(shape), shape);
  expect(accepted).toBe(true);
  expect(steps.map(({ result }) => result)).toEqual(steps.map(() => 'good'));
});
