/** The worst that 64 KiB can do to a parser before they are refused: time in ES256 verifications, and memory. */
import { generateKeyPairSync } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { decodeCbor } from '../src/codec/cbor.ts';
import { decodeMessage } from '../src/codec/coap/message.ts';
import { readCose } from '../src/codec/cose/message.ts';
import { openCwt } from '../src/codec/cwt.ts';
import { readDeviceRequest } from '../src/codec/device-request.ts';
import { readIntrospectionCbor, readIntrospectionForm } from '../src/codec/introspection-message.ts';
import { openJwe } from '../src/codec/jwe.ts';
import { importJweKey } from '../src/codec/jwe-key.ts';
import { SlipmuxDecoder } from '../src/codec/slipmux.ts';
import { parseStrictJsonObject } from '../src/codec/strict-json.ts';
import { utf8 } from '../src/core/bytes.ts';
import { isCoded } from '../src/core/errors.ts';
import type { JsonObject } from '../src/core/json.ts';
import { judgeDpopProof } from '../src/pop/dpop.ts';
import { DpopNonces } from '../src/pop/dpop-nonces.ts';
import { ProofKeys } from '../src/pop/proof-keys.ts';
import { ReplayWindow } from '../src/pop/replay-window.ts';
import { HOSTILE_CBOR } from '../test/fixtures/hostile-cbor.ts';
import { HOSTILE_COAP, HOSTILE_STREAMS } from '../test/fixtures/hostile-frames.ts';
import {
  HOSTILE_FORMS,
  HOSTILE_JSON,
  HOSTILE_JWE,
  HOSTILE_JWS,
  HOSTILE_PROOFS,
} from '../test/fixtures/hostile-text.ts';
import { type Effort, type Figure, micro, quantile } from './harness.ts';
import { KEYS, makeJwt, NOW, random, verifyReference } from './reference-token.ts';
import { bareVerification } from './translation.ts';

const TIME_GOAL = 10;
/**
 * A JWE costs more: the private key of RSA-2048 alone costs nine verifications, and jose takes a dozen steps on other threads
 * for ECDH. A stranger reaches this with a token that is encrypted as a whole, in turns and with a share for each network
 * (`trust/decryption-turns`). `cnf.jwe` is decrypted after the signature.
 */
const TIME_GOAL_OF: Readonly<Record<string, number>> = { jwe: 20 };
const MEMORY_GOAL = 2;
const MEBIBYTE = 1_048_576;
/** Times of one input, of which the middle counts: a collection of garbage in between is not the parser's. */
const REPETITIONS = 25;

interface Attack {
  readonly name: string;
  readonly act: () => void | Promise<void>;
  /** Part of the work is done by other threads: all of their time counts, and not how long they let it wait. */
  readonly isThreaded?: boolean;
}

interface Damage {
  readonly name: string;
  /** Milliseconds. */
  readonly time: number;
  /** Bytes allocated. */
  readonly memory: number;
}

export async function hostileInputFigures(effort: Effort): Promise<readonly Figure[]> {
  const unit = await medianTime(bareVerification(makeJwt()), effort.calls);
  const all: Figure[] = [];
  for (const [parser, set] of Object.entries(attacks())) {
    const damages: Damage[] = [];
    for (const attack of set) damages.push(await measure(attack));
    all.push(...figures(parser, damages, unit));
  }
  return all;
}

function figures(parser: string, damages: readonly Damage[], unit: number): readonly Figure[] {
  const slowest = damages.reduce((worst, next) => (next.time > worst.time ? next : worst));
  const largest = damages.reduce((worst, next) => (next.memory > worst.memory ? next : worst));
  return [
    {
      name: `hostile-${parser}-time`,
      value: slowest.time / unit,
      goal: TIME_GOAL_OF[parser] ?? TIME_GOAL,
      better: 'lower',
      remark: `verifications; worst of ${damages.length} inputs: ${slowest.name}, ${micro(slowest.time)}`,
    },
    {
      name: `hostile-${parser}-memory`,
      value: largest.memory / MEBIBYTE,
      goal: MEMORY_GOAL,
      better: 'lower',
      remark: `MiB allocated; worst of ${damages.length} inputs: ${largest.name}`,
    },
  ];
}

function attacks(): Readonly<Record<string, readonly Attack[]>> {
  const deviceKeys = [KEYS.authentication, KEYS.encryption].filter((key) => key !== undefined);
  const ecKey = importJweKey(
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }) as JsonObject,
  );
  const rsaKey = importJweKey(
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }) as JsonObject,
  );
  const proofContext = {
    method: 'POST',
    uris: ['https://hub.example/devices/tube-1/authz-info'],
    accessTokenDigest: new Uint8Array(32),
    tokenIdentity: new Uint8Array(32),
    confirmationThumbprint: 'none',
    time: { earliest: NOW, latest: NOW },
    monotonic: 0,
    window: 60,
    nonces: new DpopNonces({ random }),
    replay: new ReplayWindow({ lifetime: DpopNonces.lifetime }),
  };
  return {
    cbor: HOSTILE_CBOR.map(({ name, bytes }) => refused(name, () => decodeCbor(bytes))),
    cose: HOSTILE_CBOR.map(({ name, bytes }) => refused(name, () => readCose(bytes))),
    cwt: HOSTILE_CBOR.map(({ name, bytes }) => refused(name, () => openCwt(bytes, { keys: deviceKeys }))),
    json: HOSTILE_JSON.map(({ name, text }) => refused(name, () => parseStrictJsonObject(text))),
    jwt: HOSTILE_JWS.map(({ name, text }) => refused(name, () => verifyReference(text))),
    jwe: HOSTILE_JWE.map(({ name, text }) => refusedLater(name, () => openJwe(text, [ecKey, rsaKey]))),
    // Keys are imported anew every time, as for as many clients.
    dpop: HOSTILE_PROOFS.map(({ name, text }) =>
      refused(name, () => judgeDpopProof(text, { ...proofContext, keys: new ProofKeys() })),
    ),
    'introspection-form': HOSTILE_FORMS.map(({ name, text }) => {
      const body = utf8(text);
      return refused(name, () => readIntrospectionForm(body));
    }),
    'introspection-cbor': HOSTILE_CBOR.map(({ name, bytes }) => refused(name, () => readIntrospectionCbor(bytes))),
    'device-request': HOSTILE_CBOR.map(({ name, bytes }) => refused(name, () => readDeviceRequest(bytes))),
    coap: HOSTILE_COAP.map(({ name, bytes }) => ({ name, act: () => void attempt(() => decodeMessage(bytes)) })),
    slipmux: HOSTILE_STREAMS.map(({ name, bytes }) => ({ name, act: () => pushAll(bytes) })),
  };
}

/** An attack that has to end in a coded error: a parser that takes the input, or breaks over it, breaks the bench. */
function refused(name: string, parse: () => unknown): Attack {
  return {
    name,
    act: () => {
      if (!attempt(parse)) throw new Error(`not refused: ${name}`);
    },
  };
}

/** The same for a parser that works on another thread as well. */
function refusedLater(name: string, parse: () => Promise<unknown>): Attack {
  return {
    name,
    isThreaded: true,
    act: async () => {
      try {
        await parse();
      } catch (error) {
        if (!isCoded(error)) throw error;
        return;
      }
      throw new Error(`not refused: ${name}`);
    },
  };
}

function attempt(parse: () => unknown): boolean {
  try {
    parse();
  } catch (error) {
    if (!isCoded(error)) throw error;
    return true;
  }
  return false;
}

function pushAll(bytes: Uint8Array): void {
  const ignore = () => {};
  new SlipmuxDecoder().push(bytes, { onCoap: ignore, onDiagnostic: ignore, onNoise: ignore });
}

async function measure({ name, act, isThreaded = false }: Attack): Promise<Damage> {
  await act();
  const time = isThreaded ? await processorTime(act) : await medianTime(act, REPETITIONS);
  // What was allocated since a full collection is the most that can have been alive at once.
  collectGarbage();
  const before = process.memoryUsage();
  await act();
  const after = process.memoryUsage();
  const memory = after.heapUsed - before.heapUsed + (after.external - before.external);
  return { name, time, memory };
}

async function medianTime(act: () => unknown, repetitions: number): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < repetitions; count += 1) {
    const start = performance.now();
    const outcome = act();
    // A parser that answers at once does not wait for the next turn.
    if (outcome instanceof Promise) await outcome;
    times.push(performance.now() - start);
  }
  return quantile(times, 0.5);
}

/** Milliseconds of all threads together: the middle of five rounds. */
async function processorTime(act: () => unknown): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const before = process.cpuUsage();
    for (let count = 0; count < REPETITIONS; count += 1) await act();
    const { user, system } = process.cpuUsage(before);
    rounds.push((user + system) / 1_000 / REPETITIONS);
  }
  return quantile(rounds, 0.5);
}

/** `node --expose-gc` without asking whoever starts the bench for it. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect === 'function') collect();
}
