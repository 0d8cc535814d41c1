import { tcpRig } from '../../fixtures/line-rig.ts';
import { describeLine } from '../../fixtures/line-scenarios.ts';

describeLine('a line over TCP', tcpRig);
