import { keyId } from '../pool/key-id.ts'

// The key of all examples. Whoever imports it as the document shows can try every other call on it as it stands.

export const EXAMPLE_SECRET = 'sk-example-1'
export const EXAMPLE_ID = keyId(EXAMPLE_SECRET)
export const EXAMPLE_FENCE = 42
export const EXAMPLE_LEASE_ID = `${EXAMPLE_ID}.${EXAMPLE_FENCE}`
export const EXAMPLE_METADATA = { vendor: 'example' }
