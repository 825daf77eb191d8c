import type { Answer, Caller } from './caller.ts'
import type { Seen } from './comparison.ts'
import type { KeySeen, LeaseEntry, LeaseSeen } from './entries.ts'

interface KeyBody extends Omit<KeySeen, 'activatedAt' | 'keepAliveBy' | 'lease'> {
  activatedAt: string | null
  keepAliveBy: string | null
  lease: { id: string; fence: number; expiresAt: string } | null
}

interface LeaseBody extends Omit<LeaseSeen, 'acquiredAt' | 'expiresAt' | 'keepAliveBy'> {
  acquiredAt: string
  expiresAt: string
  keepAliveBy: string | null
}

export function keySeen(body: unknown): KeySeen {
  const { id, state, activatedAt, keepAliveBy, lease } = body as KeyBody
  return {
    id,
    state,
    activatedAt: instant(activatedAt),
    keepAliveBy: instant(keepAliveBy),
    lease: lease && { id: lease.id, fence: lease.fence, expiresAt: Date.parse(lease.expiresAt) }
  }
}

export function leaseSeen(body: unknown): LeaseSeen {
  const { id, keyId, fence, acquiredAt, expiresAt, keepAliveBy } = body as LeaseBody
  return {
    id,
    keyId,
    fence,
    acquiredAt: Date.parse(acquiredAt),
    expiresAt: Date.parse(expiresAt),
    keepAliveBy: instant(keepAliveBy)
  }
}

/** All that the server has, and these leases. `known`: keys that are asked for where no list has them. */
export async function readAll(
  callers: readonly Caller[],
  leases: readonly LeaseEntry[],
  known: Iterable<{ pool: string; id: string }>
): Promise<Seen> {
  const [first] = callers as [Caller]
  const pools = new Map<string, { leaseMs: number }>()
  const keys = new Map<string, Map<string, KeySeen>>()
  const { body } = answered(await first.ask('GET /v1/pools'))
  for (const { name, policy } of body['pools'] as { name: string; policy: { leaseMs: number } }[]) {
    pools.set(name, policy)
    keys.set(name, await readKeys(first, name))
  }
  // A walk may miss a key whose state changes meanwhile, as when its cooling ends.
  for (const { pool, id } of known) {
    const listed = keys.get(pool)
    if (listed === undefined || listed.has(id)) continue
    const { status, body } = answered(await first.ask(`GET /v1/pools/${pool}/keys/${id}`))
    if (status === 200) listed.set(id, keySeen(body))
  }
  const read: [string, { from: number; to: number; lease: LeaseSeen | undefined }][] = []
  const left = leases.values()
  await Promise.all(
    callers.map(async caller => {
      for (const { pool, id } of left) {
        const from = Date.now()
        const { status, body } = answered(await caller.ask(`GET /v1/pools/${pool}/leases/${id}`))
        read.push([id, { from, to: Date.now(), lease: status === 200 ? leaseSeen(body) : undefined }])
      }
    })
  )
  return { pools, keys, leases: new Map(read), to: Date.now() }
}

async function readKeys(caller: Caller, pool: string): Promise<Map<string, KeySeen>> {
  const keys = new Map<string, KeySeen>()
  let cursor: string | null = ''
  while (cursor !== null) {
    const from: string = cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`
    const { body } = answered(await caller.ask(`GET /v1/pools/${pool}/keys?limit=1000${from}`))
    for (const key of (body['keys'] as unknown[]).map(keySeen)) keys.set(key.id, key)
    cursor = body['nextCursor'] as string | null
  }
  return keys
}

function answered(answer: Answer | undefined): Answer {
  if (answer === undefined) throw new Error('the server does not answer')
  if (answer.status >= 500) throw new Error(`the server answers ${answer.status}: ${JSON.stringify(answer.body)}`)
  return answer
}

function instant(text: string | null): number | null {
  return text === null ? null : Date.parse(text)
}
