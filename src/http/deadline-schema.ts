import { instantSchema, lengthSchema, nullable } from './schema.ts'

/** The lease deadline, as leases and leased keys show it. */
export const expiry = {
  expiresAt: instantSchema('When the lease ends.'),
  expiresInMs: lengthSchema('Until the lease ends')
}

/** The keep-alive deadline, as keys and leases show it. */
export const life = {
  keepAliveBy: nullable(
    instantSchema('When the key is retired unless it is kept alive; null: keys of this pool do not age.')
  ),
  keepAliveInMs: nullable(lengthSchema('Until the key is retired'))
}
