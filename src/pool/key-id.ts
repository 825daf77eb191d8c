import { hash } from 'node:crypto'

/** 22 characters of 6 bits: 132 bits of the hash. */
export const ID_LENGTH = 22
const scratch = Buffer.alloc(ID_LENGTH)

/** The public name of a key: the first 22 characters of base64url(SHA-256(key)). About 0.4 µs. */
export function keyId(key: string): string {
  // A copy through a buffer: a slice of the 43 characters would keep all of them alive for as long as the id lives.
  scratch.write(hash('sha256', key, 'base64url'), 0, ID_LENGTH, 'latin1')
  return scratch.toString('latin1')
}

const SIX_BITS = new Uint8Array(128)
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
for (let value = 0; value < 64; value++) SIX_BITS[BASE64URL.charCodeAt(value)] = value

/**
 * 30 bits of an id, for a hash table. Ids are uniform, so these are. The first characters make the lowest bits, by which
 * a GrowingMap chooses a shard: ids that come in their order, as at a start, meet one shard for a while, in the cache.
 */
export function idBits(id: string): number {
  let bits = 0
  for (let i = 0; i < 5; i++) bits |= (SIX_BITS[id.charCodeAt(i) & 127] as number) << (6 * i)
  return bits
}
