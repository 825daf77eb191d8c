import { hash } from 'node:crypto'
import type { Role } from '../../src/access/bearer.ts'
import { TokenList } from '../../src/access/token-list.ts'
import type { Operation } from './document.ts'
import { grantsIn } from './leases.ts'
import type { Answer, Sent } from './judge.ts'
import { HUSH } from './values.ts'

/** In whose name a request is sent. */
export interface Caller {
  name: string
  /** Undefined for strangers. */
  role: Role | undefined
  pools: '*' | readonly string[]
  token?: string
  /** How often, beside the others. */
  weight: number
}

/** Where there are no tokens. */
export const ANYBODY: readonly Caller[] = [{ name: 'anybody', role: 'admin', pools: '*', weight: 1 }]

/** The first may do everything: what keeps the service going. */
export const BEARERS: readonly Caller[] = [
  { name: 'admin', role: 'admin', pools: '*', token: `${HUSH}-admin`, weight: 12 },
  { name: 'limited', role: 'user', pools: ['default'], token: `${HUSH}-limited`, weight: 5 },
  { name: 'viewer', role: 'viewer', pools: '*', token: `${HUSH}-viewer`, weight: 2 },
  { name: 'unknown', role: undefined, pools: [], token: `${HUSH}-unknown`, weight: 2 },
  { name: 'nobody', role: undefined, pools: [], weight: 2 }
]

/** What the service knows of them. */
export function tokensOf(callers: readonly Caller[]): TokenList {
  return new TokenList(
    callers.flatMap(({ name, role, pools, token = '' }) => {
      if (role === undefined) return []
      const bearer = { name, role, pools: pools === '*' ? pools : new Set(pools) }
      return [{ bearer, sha256: hash('sha256', token, 'hex') }]
    })
  )
}

const ROLES: readonly (Role | undefined)[] = ['viewer', 'user', 'admin']
/** Which call each operation of a batch stands for. */
const SINGLE: Readonly<Record<string, string>> = {
  acquire: 'acquireLease',
  release: 'releaseLease',
  renew: 'renewLease',
  keepAlive: 'keepKeyAlive',
  activate: 'activateKey',
  delete: 'deleteKey',
  unblock: 'unblockKey'
}
/** Calls on a lease, which may be another's. */
const ON_LEASES = ['getLease', 'renewLease', 'releaseLease']

interface Item {
  op: string
  lease?: string
}

/** Judges who was let in: by what the document says of each operation's role, and by what callers were told of leases. */
export class Gatekeeper {
  readonly #roles: ReadonlyMap<string, Role | undefined>
  /** Who was granted which lease, by its id. */
  readonly #owners = new Map<string, string>()

  constructor(operations: readonly Operation[]) {
    this.#roles = new Map(operations.map(({ id, role }) => [id, role]))
  }

  /** Why the call must be refused whatever is in its body, or undefined. */
  refusal({ id, role }: Operation, { url, by }: Sent): 'unauthorized' | 'forbidden' | undefined {
    if (role === undefined) return undefined
    if (by.role === undefined) return 'unauthorized'
    if (!covers(by, role)) return 'forbidden'
    const [path = '', query = ''] = url.split('?')
    const pool = /^\/v1\/pools\/([^/]*)/.exec(path)?.[1]
    if (pool !== undefined && by.pools !== '*' && !by.pools.includes(decodeURIComponent(pool))) return 'forbidden'
    const reveals = new URLSearchParams(query).getAll('reveal')
    const isRevealing = id === 'getKey' && reveals.length === 1 && reveals[0] === 'true'
    return isRevealing && !covers(by, 'admin') ? 'forbidden' : undefined
  }

  /** What is wrong with an answer as to who was given it. */
  faults(operation: Operation, sent: Sent, answer: Answer): string[] {
    const { by } = sent
    const { status } = answer
    const refusal = this.refusal(operation, sent)
    const got = `${by.name} gets ${status} from ${operation.id}, which needs ${operation.role ?? 'nothing'}`
    if (refusal !== undefined) {
      return isBeforeAccess(answer) || status === (refusal === 'unauthorized' ? 401 : 403) ? [] : [got]
    }
    if (status === 401) return [got]
    if (status === 403) return this.#mayBeForbidden(operation, sent) ? [] : [got]
    return status < 300 ? this.#trespasses(operation, sent, answer) : []
  }

  #mayBeForbidden({ id }: Operation, { by, body = '' }: Sent): boolean {
    if (by.role === 'admin') return false
    return ON_LEASES.includes(id) || (id === 'batch' && /"(delete|unblock)"/.test(body))
  }

  /** What a caller was let do that needs more than it has. */
  #trespasses({ id }: Operation, { by, url, body }: Sent, { json }: Answer): string[] {
    for (const grant of grantsIn(json)) if (!this.#owners.has(grant.id)) this.#owners.set(grant.id, by.name)
    if (by.role === 'admin') return []
    if (id === 'listPools' && by.pools !== '*') {
      // An answer to HEAD has none.
      const { pools = [] } = (json ?? {}) as { pools?: { name: string }[] }
      return pools
        .filter(({ name }) => !by.pools.includes(name))
        .map(({ name }) => `${by.name} is shown the pool ${name}`)
    }
    if (id === 'batch') {
      const { operations } = JSON.parse(body as string) as { operations: Item[] }
      const { results } = json as { results: { status: number }[] }
      return operations.flatMap(({ op, lease }, i) => [
        ...(covers(by, this.#roles.get(SINGLE[op] as string)) ? [] : [`${by.name} is let ${op} in a batch`]),
        ...((results[i]?.status ?? 0) < 300 ? this.#stolen(by, lease) : [])
      ])
    }
    return ON_LEASES.includes(id) ? this.#stolen(by, decodeURIComponent(/\/leases\/([^/?]*)/.exec(url)?.[1] ?? '')) : []
  }

  #stolen({ name }: Caller, lease: string | undefined): string[] {
    const owner = this.#owners.get(lease ?? '') ?? name
    return owner === name ? [] : [`${name} is let have the lease ${String(lease)} of ${owner}`]
  }
}

function covers({ role }: Caller, needed: Role | undefined): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed)
}

/** The checks of the edge come first: of the host, and of the length of the address. */
function isBeforeAccess({ status, json }: Answer): boolean {
  const { errors } = (json ?? {}) as { errors?: { in: string }[] }
  return status === 414 || (status === 400 && errors?.[0]?.in === 'header')
}
