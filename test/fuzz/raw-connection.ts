import { connect, type NetConnectOpts, type Socket } from 'node:net';

/** Longest wait for an answer to bytes that may deserve none; milliseconds. */
const PATIENCE = 40;

/** Writes to a stream server and resolves with what came, once it closed the connection or was silent for a while. */
export function exchange(to: NetConnectOpts, bytes: Uint8Array, patience = PATIENCE): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(to);
    const heard: Buffer[] = [];
    let timer: NodeJS.Timeout | undefined;
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(Buffer.concat(heard));
    };
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(end, patience);
    };
    socket.on('data', (chunk) => {
      heard.push(chunk);
      wait();
    });
    socket.on('close', end);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // The hub may cut off a peer that breaks the rules. A hub that does not listen has ended.
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') reject(error);
      else end();
    });
    socket.on('connect', () => {
      socket.write(bytes);
      wait();
    });
  });
}
