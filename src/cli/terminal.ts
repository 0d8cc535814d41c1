import { open } from 'node:fs/promises';
import { LatchkeyError } from '../core/errors.ts';
import { printable } from '../core/printable.ts';
import type { Terminal } from './command.ts';
import { InputLines } from './input-lines.ts';

/**
 * The process itself. Nothing that a command repeats steers the terminal or begins a line, wherever it came from; headings are bold where
 * a person looks on (https://no-color.org).
 */
export function processTerminal(): Terminal {
  const bold = process.stdout.isTTY === true && !process.env.NO_COLOR;
  const print = lineWriter(process.stdout);
  const note = lineWriter(process.stderr);
  let lines: InputLines | undefined;
  return {
    environment: process.env,
    print: (line) => print(printable(line)),
    heading: (line) => print(bold ? `\u001b[1m${printable(line)}\u001b[0m` : printable(line)),
    note: (line) => note(printable(line)),
    ask: async (question, signal) => {
      process.stderr.write(`${printable(question)} `);
      lines ??= new InputLines(process.stdin);
      const answer = await lines.next(signal);
      // The line of the question has not ended: what is said next would stand behind it.
      if (answer === undefined) process.stderr.write('\n');
      return answer?.trim();
    },
    read: (file, maxBytes) => (file === '-' ? collect(process.stdin, '-', maxBytes) : readFile(file, maxBytes)),
  };
}

/** Writes lines for as long as a process reads them: `| head` is no fault, and the command ends as it would have. */
function lineWriter(stream: NodeJS.WriteStream): (line: string) => void {
  let isRead = true;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (isRead && error.code !== 'EPIPE') throw error;
    isRead = false;
  });
  return (line) => {
    if (isRead) stream.write(`${line}\n`);
  };
}

async function readFile(file: string, maxBytes: number): Promise<Uint8Array> {
  try {
    const handle = await open(file, 'r');
    return await collect(handle.createReadStream({ highWaterMark: 65_536 }), file, maxBytes);
  } catch (error) {
    if (error instanceof LatchkeyError) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new LatchkeyError('file_unreadable', `${file} (${reason})`, { cause: error });
  }
}

/** Reads to the end, but never more than the limit: a device file or a pipe may have no end. */
async function collect(stream: AsyncIterable<Uint8Array>, file: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.length;
    if (length > maxBytes) throw new LatchkeyError('request_too_large', `${file} is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
