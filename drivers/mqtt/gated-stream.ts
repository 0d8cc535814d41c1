import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { PacketRefusal } from '../../src/codec/mqtt/packet-reader.ts';
import { networkOf } from '../http/peer-network.ts';
import type { PacketGate } from './packet-gate.ts';

export interface GatedStreamOptions {
  readonly socket: Socket;
  /** Before what comes in. */
  readonly gate: PacketGate;
  /** Called once, when the gate refuses a packet; nothing comes in any more. */
  readonly onRefusal: (refusal: PacketRefusal, stream: GatedStream) => void;
  /** Changes what goes out. */
  readonly outgoing?: (bytes: Buffer) => Buffer;
}

/** A socket as an MQTT library sees it: packets come through the gate alone. */
export class GatedStream extends Duplex {
  readonly #options: GatedStreamOptions;
  readonly remoteAddress: string | undefined;
  /** What it counts for where peers have shares. */
  readonly network: string | undefined;
  #isEnding = false;

  constructor(options: GatedStreamOptions) {
    super({ allowHalfOpen: false });
    this.#options = options;
    const { socket } = options;
    this.remoteAddress = socket.remoteAddress;
    this.network = networkOf(socket)?.name;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    socket.pause();
  }

  /** Writes this as the last thing, past the library, and ends. A peer that does not read is cut off after the deadline. */
  endWith(bytes: Uint8Array, deadline: number): void {
    const { socket } = this.#options;
    this.#isEnding = true;
    // What still comes in is thrown away, but has to be taken: else closing resets the connection, and the peer reads no end.
    socket.removeAllListeners('data').resume();
    socket.end(bytes);
    const cutOff = setTimeout(() => socket.destroy(), deadline);
    socket.once('close', () => clearTimeout(cutOff));
    this.destroy();
  }

  override _read(): void {
    this.#options.socket.resume();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#afterWrite(this.#write(chunk), done);
  }

  /** The libraries write a packet in many pieces. */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#afterWrite(this.#write(Buffer.concat(chunks.map(({ chunk }) => chunk))), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#options.socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#isEnding) this.#options.socket.destroy();
    done(error);
  }

  #take(chunk: Buffer): void {
    const { passed, refusal } = this.#options.gate.take(chunk);
    let hasRoom = true;
    for (const bytes of passed) hasRoom = this.push(bytes);
    if (refusal !== undefined) this.#options.onRefusal(refusal, this);
    else if (!hasRoom) this.#options.socket.pause();
  }

  #write(bytes: Buffer): boolean {
    const { outgoing, socket } = this.#options;
    return socket.write(outgoing === undefined ? bytes : outgoing(bytes));
  }

  #afterWrite(hasRoom: boolean, done: () => void): void {
    if (hasRoom) done();
    else this.#options.socket.once('drain', done);
  }
}
