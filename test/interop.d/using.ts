/** What a peer's run has open, and how it ends. */
/** What is running, by how it ends. Told to stop, we end it, and whatever waits for it fails. */
const running = new Set<() => Promise<void>>();
let isStopping = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    isStopping = true;
    process.exitCode = 1;
    // What is still starting goes with us.
    if (running.size === 0) process.exit();
    for (const close of running) void close();
  });
}

interface Closable {
  /** May be called again. */
  close(): Promise<void>;
}

/** Opens something and runs with it; closes it whatever happens. */
export async function using<T extends Closable>(open: () => Promise<T>, run: (it: T) => Promise<void>): Promise<void> {
  if (isStopping) throw new Error('told to stop');
  const it = await open();
  const close = () => it.close();
  running.add(close);
  try {
    if (isStopping) throw new Error('told to stop');
    await run(it);
  } finally {
    await close();
    running.delete(close);
  }
}
