import { CONTENT_FORMAT } from '../codec/iana.ts';
import type { Resource } from './resources.ts';

/** The device's own directory (RFC 6690): its fixed resources, then what it can do. `ace.ai` is from RFC 9200 §8.2. */
export function linkFormat(resources: ReadonlyMap<string, Resource>): string {
  const links = [
    `</authz-info>;rt="ace.ai";ct=${CONTENT_FORMAT.cwt}`,
    `</challenge>;ct=${CONTENT_FORMAT.octetStream}`,
    `</status>;ct=${CONTENT_FORMAT.cbor}`,
  ];
  for (const [path, { resourceType, contentFormat }] of resources) {
    links.push(`</${path}>;rt="${resourceType}";ct=${contentFormat}`);
  }
  return links.join(',');
}
