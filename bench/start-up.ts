/** `latchkey run` without any configuration, against `node -e 0`: time until it is ready, and memory while it idles. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Figure, quantile } from './harness.ts';

/** Beside this file once both are built. */
const PROGRAM = fileURLToPath(new URL('../bin/latchkey.js', import.meta.url));
const IDLE_MILLISECONDS = 1_000;
const KIBIBYTES_PER_MEGABYTE = 1_000_000 / 1_024;

export async function startUpFigures(starts: number): Promise<readonly Figure[]> {
  const hubTimes: number[] = [];
  const bareTimes: number[] = [];
  const hubMemory: number[] = [];
  const bareMemory: number[] = [];
  for (let start = 0; start < starts; start += 1) {
    bareTimes.push(await bareStart());
    const hub = await hubStart();
    hubTimes.push(hub.time);
    hubMemory.push(hub.memory);
    bareMemory.push(await bareIdle());
  }
  const [hub, bare] = [quantile(hubTimes, 0.5), quantile(bareTimes, 0.5)];
  const [hubSize, bareSize] = [quantile(hubMemory, 0.5), quantile(bareMemory, 0.5)];
  return [
    {
      name: 'start-up-time',
      value: hub / bare,
      goal: 2.5,
      better: 'lower',
      remark: `times node -e 0; ready after ${hub.toFixed(0)} ms, node -e 0 takes ${bare.toFixed(0)} ms, middle of ${starts}`,
    },
    {
      name: 'idle-memory',
      value: hubSize - bareSize,
      goal: 22,
      better: 'lower',
      remark: `MB above idle node; resident ${hubSize.toFixed(1)} MB against ${bareSize.toFixed(1)} MB`,
    },
  ];
}

/** Milliseconds from start to end of `node -e 0`. */
async function bareStart(): Promise<number> {
  const start = performance.now();
  await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
  return performance.now() - start;
}

/** Resident MB of a node that does nothing. */
async function bareIdle(): Promise<number> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6); console.log(\'{"event":"ready"}\')'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return idleMemory(child);
}

async function hubStart(): Promise<{ readonly time: number; readonly memory: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'latchkey-bench-'));
  const config = join(folder, 'latchkey.toml');
  writeFileSync(config, `state_dir = ${JSON.stringify(join(folder, 'state'))}\n[http]\nlisten = "127.0.0.1:0"\n`);
  try {
    const start = performance.now();
    const child = spawn(process.execPath, [PROGRAM, 'run', '--config', config], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let time = 0;
    const memory = await idleMemory(child, () => {
      time = performance.now() - start;
    });
    return { time, memory };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Waits until the child says that it is ready and then idles; answers with its resident MB, and ends it. */
async function idleMemory(child: ChildProcess, onReady: () => void = () => {}): Promise<number> {
  const exited = once(child, 'exit');
  try {
    await Promise.race([
      ready(child),
      exited.then(([status]) => {
        throw new Error(`ended with ${status} before it was ready`);
      }),
    ]);
    onReady();
    await sleep(IDLE_MILLISECONDS);
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const resident = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
    return resident / KIBIBYTES_PER_MEGABYTE;
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}

/** Resolves with the log line `{"event":"ready",…}`. */
async function ready(child: ChildProcess): Promise<void> {
  if (child.stdout === null) throw new Error('no output to read');
  for await (const line of createInterface({ input: child.stdout })) if (line.includes('"event":"ready"')) return;
  throw new Error('no line said that it is ready');
}
