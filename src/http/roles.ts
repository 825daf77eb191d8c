import type { Role } from '../access/bearer.ts'
import type { Operation } from '../engine.ts'

/** Who may make a call, and what it is besides. */
export interface Need {
  /** The least role, or `open`: everybody, without a token. */
  role: Role | 'open'
  /** Whether the call may change something. */
  changes: boolean
  /** Whether the call is in the audit trail. */
  told: boolean
}

const reads = (role: Need['role']): Need => ({ role, changes: false, told: false })
const changes = (role: Role): Need => ({ role, changes: true, told: true })
/** Says whether a secret is that of a living key: who tries secrets is told of. */
const triesSecrets = (role: Role): Need => ({ role, changes: false, told: true })

/** What each operation needs, by its operationId. One that is missing here is not served. */
export const NEEDS: Readonly<Record<string, Need>> = {
  livez: reads('open'),
  readyz: reads('open'),
  explainProblem: reads('open'),

  listPools: reads('viewer'),
  getPool: reads('viewer'),
  putPool: changes('admin'),
  deletePool: changes('admin'),

  listKeys: reads('viewer'),
  // With `reveal` it needs what REVEAL says, and is told.
  getKey: reads('viewer'),
  lookupKey: triesSecrets('admin'),
  generateOrImportKeys: changes('admin'),
  deleteKey: changes('admin'),
  unblockKey: changes('admin'),
  setKeyMetadata: changes('admin'),
  keepKeyAlive: changes('user'),
  activateKey: changes('user'),

  acquireLease: changes('user'),
  // A lease is shown to its owner, so a viewer, who can have none, sees no more of leases than a key tells.
  getLease: reads('user'),
  renewLease: changes('user'),
  releaseLease: changes('user'),
  // Each operation besides needs what OPERATIONS says.
  batch: changes('user'),

  random_api_key_post_random_api_key: changes('admin'),
  random_api_key_get_random_api_key: changes('admin'),
  random_api_key_put_random_api_key: changes('admin'),
  random_api_key_delete_random_api_key: changes('admin'),
  random_api_key_put_keep_alive: changes('admin'),
  random_api_key_get_start_scheduler: reads('admin'),
  get_token: changes('admin'),
  activate_token: changes('admin'),
  get_token_status: triesSecrets('admin'),
  del_token: changes('admin'),
  get_number_token: reads('admin')
}

/** Who may ask to be shown a key itself. */
export const REVEAL: Role = 'admin'

/** Who may have which operation in a batch. */
export const OPERATIONS: Readonly<Record<Operation['op'], Role>> = {
  acquire: 'user',
  release: 'user',
  renew: 'user',
  keepAlive: 'user',
  activate: 'user',
  delete: 'admin',
  unblock: 'admin'
}

/** Routes that are no operations of the API, but files that a browser shows. */
const PAGES = /^\/docs(\/|$)/

/** Throws where nobody has decided who may call a route. */
export function needOf(url: string, operationId: string | undefined): Need {
  if (operationId === undefined && PAGES.test(url)) return reads('open')
  const need = Object.entries(NEEDS).find(([name]) => name === operationId)?.[1]
  if (need === undefined) {
    throw new Error(`nobody may call ${url}: give its operationId (${operationId}) a role in src/http/roles.ts`)
  }
  return need
}
