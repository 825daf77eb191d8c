import { register } from 'tsx/esm/api'

// The entry of the store's thread where the sources are not compiled.
register()
await import('../../src/durable/store-thread.ts')
