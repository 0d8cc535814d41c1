/** What is used of bleno's insides, for want of a way to ask for it (@stoprocent/bleno 0.12.4). A test holds it to the package. */
import type { Bleno } from '@stoprocent/bleno';

interface Bindings {
  _state?: string | null;
  readonly _hci?: { pollIsDevUp?: () => void };
  onStateChange?(state: string): void;
  emit(event: 'stateChange', state: string): unknown;
}

/** Undefined for a bleno of another make: then it is as it is. */
function bindingsOf(bleno: Bleno): Bindings | undefined {
  return (bleno as unknown as { _bindings?: Bindings })._bindings;
}

/**
 * Has bleno keep its advice to itself: it writes to standard output, where the events of a simulated device go, that an
 * adapter may not be used. To be called before it starts.
 */
export function silence(bleno: Bleno): void {
  const bindings = bindingsOf(bleno);
  if (bindings?.onStateChange === undefined) return;
  bindings.onStateChange = (state) => {
    if (bindings._state === state) return;
    bindings._state = state;
    bindings.emit('stateChange', state);
  };
}

/**
 * Makes it possible to end that bleno asks its socket once a second whether it is up. It goes on after `stop`, keeps the
 * process alive, and fails where nobody can hear it. To be called before it starts.
 * @returns what ends it: bleno's own timer then runs out
 */
export function stoppablePolling(bleno: Bleno): () => void {
  const hci = bindingsOf(bleno)?._hci;
  const poll = hci?.pollIsDevUp?.bind(hci);
  if (hci === undefined || poll === undefined) return () => undefined;
  let isStopped = false;
  // bleno looks it up anew for each turn.
  hci.pollIsDevUp = () => {
    if (!isStopped) poll();
  };
  return () => {
    isStopped = true;
  };
}
