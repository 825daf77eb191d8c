import t, { type Test } from 'tap'
import type { Engine, Operation, Policy } from '../../src/engine.ts'
import { createEngine, granted } from '../support/create-engine.ts'
import { createRedis } from '../support/create-redis.ts'
import { isSkipped, startRedis } from '../support/redis-server.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { SettlingClock } from '../support/settling-clock.ts'

const POOL = 'p'
const WALKS = 8
const STEPS = 120
/** A key space of which all is drawn, and lengths that meet each other. */
const START: Partial<Policy> = {
  alphabet: 'ab',
  length: 3,
  leaseMs: 150,
  maxHoldMs: 400,
  keepAliveMs: 1000,
  maxKeys: 30
}

/** Whether two engines differ where they may: they draw other keys, count other fences, and number keys otherwise. */
const OWN = /^(fence|serial)$/
const NAMED = /^[\w-]{22}\.\d+$/

if (!isSkipped(t)) await differences(t)

/**
 * Two nodes over a server, by turns, must answer as the engine in memory does. Where an engine has a choice it is left none:
 * all keys of the key space are generated, and all that are free are acquired.
 */
async function differences(t: Test): Promise<void> {
  const server = await startRedis(t)
  for (let seed = 1; seed <= WALKS; seed++) {
    await t.test(`the shared engine answers as that in memory does, walk ${seed}`, async t => {
      await server.client.flushall()
      await walk(t, seed, server.url)
    })
  }
}

async function walk(t: Test, seed: number, url: string): Promise<void> {
  const clock = new SettlingClock()
  const memory = createEngine(t, { clock }).engine
  const nodes = [await createRedis(t, url, { clock }), await createRedis(t, url, { clock })]
  const { below } = seededRandom(seed)
  const pick = <T>(of: readonly T[]): T => of[below(of.length)] as T
  const ids = ['unknown-unknown-unknow']
  /** Of the same key, what each engine calls the lease, the newest last. */
  const leases: { keyId: string; names: string[] }[] = [{ keyId: '-', names: ['-', '-'] }]
  const batches = new Map<string, ((which: number) => Operation)[]>()
  const done: string[] = []

  /** What all engines say to this, the present node for the shared one. */
  async function ask(what: string, verb: (engine: Engine, which: number) => unknown): Promise<unknown[]> {
    done.push(what)
    const node = pick(nodes)
    const answers = [await verb(memory, 0), await verb(node.engine, 1)]
    const [expected, found] = answers.map(plain)
    if (!t.strictSame(found, expected, what)) t.comment(done.slice(-25).join('\n'))
    return answers
  }

  /** The newest are touched most often. */
  const recent = <T>(of: readonly T[]): T => of[Math.max(0, of.length - 1 - below(pick([3, 3, of.length])))] as T
  const ms = (): number => pick([100, 101, 150, 300])

  const policy = (): Partial<Policy> =>
    pick<() => Partial<Policy>>([
      () => ({ leaseMs: pick([100, 150, 300]) }),
      () => ({ maxHoldMs: pick([null, 100, 300, 400, 1000]) }),
      () => ({ keepAliveMs: pick([null, 100, 250, 400, 1000]) }),
      () => ({ alphabet: pick(['ab', 'abc']), length: pick([1, 2, 3]), prefix: pick(['', 'k']) }),
      () => ({ reuseDeleted: pick([true, false]) }),
      () => ({ maxKeys: pick([3, 10, 30]) })
    ])()

  function operation(): (which: number) => Operation {
    const [id, { names }, leaseMs, fence] = [recent(ids), recent(leases), pick([undefined, ms()]), pick([true, false])]
    const name = (which: number): string => names[which] as string
    return pick<(which: number) => Operation>([
      which => ({ op: 'release', lease: name(which), cooldownMs: leaseMs ?? 0 }),
      which => ({ op: 'renew', lease: name(which), leaseMs, keepAlive: fence }),
      () => ({ op: 'keepAlive', id }),
      () => ({ op: 'activate', id }),
      () => ({ op: 'delete', id }),
      which => ({ op: 'unblock', id, ...(fence && { fence: Number(name(which).split('.')[1] ?? 0) }) })
    ])
  }

  async function acquireAll(owner: string | undefined): Promise<void> {
    const request = { leaseMs: pick([undefined, undefined, ms()]), holder: pick([undefined, 'h']), owner }
    const free = (await granted(memory.pool(POOL))).counts.free
    done.push(`acquire ${free} ${JSON.stringify(request)}`)
    const node = pick(nodes).engine
    const all = await Promise.all(
      [memory, node].map(async engine => {
        const taken = []
        for (let i = 0; i <= free; i++) taken.push(await engine.acquire(POOL, request))
        return taken.sort((a, b) => (JSON.stringify(plain(a)) < JSON.stringify(plain(b)) ? -1 : 1))
      })
    )
    t.strictSame(plain(all[1]), plain(all[0]), done.slice(-25).join('\n'))
    for (const [i, lease] of (all[0] ?? []).entries()) {
      const other = all[1]?.[i]
      if (other === undefined || 'refusal' in lease || 'refusal' in other) continue
      leases.push({ keyId: lease.keyId, names: [lease.id, other.id] })
    }
  }

  /** What is drawn is done by all engines. */
  const steps: (() => Promise<unknown>)[] = [
    async () => {
      const { keyspace } = await granted(memory.pool(POOL))
      const count = Math.max(1, Math.min(30, Number(keyspace.remaining) + pick([0, 0, 0, 1])))
      const retry = pick([undefined, { scope: pick(['a', 'b']), fingerprint: pick(['f', 'f', 'g']) }])
      const asked = { count, metadata: pick([null, { a: 'b' }]) }
      const [keys] = await ask(`generate ${count} ${JSON.stringify(retry)}`, e => e.generate(POOL, asked, retry))
      if (Array.isArray(keys)) ids.push(...keys.map(({ id }) => id as string))
    },
    async () => {
      const names = new Set(
        Array.from({ length: 1 + below(3) }, () => pick(['a', 'ab', 'ba', 'x1', 'x2', 'x3', 'aab', 'bba', 'kab']))
      )
      const keys = [...names].map(key => ({ key, metadata: pick([null, { c: 'd' }]) }))
      const retry = pick([undefined, { scope: pick(['a', 'b']), fingerprint: pick(['f', 'f', 'g']) }])
      const [made] = await ask(`import ${[...names]} ${JSON.stringify(retry)}`, e => e.importKeys(POOL, keys, retry))
      if (Array.isArray(made)) ids.push(...made.map(({ id }) => id as string))
    },
    () => acquireAll(pick([undefined, 'one', 'other'])),
    () => acquireAll(undefined),
    async () => {
      const { names } = recent(leases)
      const request = { cooldownMs: pick([0, 0, ms()]), owner: pick([undefined, 'one']) }
      await ask(`release ${names[0]} ${JSON.stringify(request)}`, (e, i) =>
        e.release(POOL, names[i] as string, request)
      )
    },
    async () => {
      const { names } = recent(leases)
      const request = {
        leaseMs: pick([undefined, ms()]),
        keepAlive: pick([true, false]),
        owner: pick([undefined, 'one'])
      }
      await ask(`renew ${names[0]} ${JSON.stringify(request)}`, (e, i) => e.renew(POOL, names[i] as string, request))
    },
    async () => {
      const { names } = recent(leases)
      const owner = pick([undefined, 'one'])
      await ask(`lease ${names[0]}`, (e, i) => e.lease(POOL, names[i] as string, owner))
    },
    async () => {
      // A retry is the same call: another one under its key is refused.
      const scope = pick(['a', 'b', 'c'])
      const before = batches.get(scope)
      const operations =
        before !== undefined && pick([true, false]) ? before : Array.from({ length: 1 + below(5) }, operation)
      const what = JSON.stringify(operations.map(make => make(0)))
      const retry = pick([undefined, { scope, fingerprint: what }])
      if (retry !== undefined) batches.set(scope, operations)
      await ask(`batch ${what} ${scope}`, (e, i) =>
        e.batch(
          POOL,
          operations.map(make => make(i)),
          { retry }
        )
      )
    },
    async () => {
      const id = recent(ids)
      const metadata = pick([null, { e: 'f' }])
      const [name, verb] = pick<[string, (engine: Engine) => unknown]>([
        ['keepAlive', e => e.keepAlive(POOL, id)],
        ['keepAlive', e => e.keepAlive(POOL, id)],
        ['activate', e => e.activate(POOL, id)],
        ['setMetadata', e => e.setMetadata(POOL, id, metadata)],
        ['delete', e => e.delete(POOL, id)],
        ['unblock', e => e.unblock(POOL, id)],
        ['key', e => e.key(POOL, id, true)]
      ])
      await ask(`${name} ${id}`, verb)
    },
    async () => {
      const changes = policy()
      await ask(`putPool ${JSON.stringify(changes)}`, e => e.putPool(POOL, changes))
    },
    async () => {
      if (below(5) === 0) await ask('deletePool', e => e.deletePool(POOL))
      await ask('putPool', e => e.putPool(POOL, START))
    },
    async () => {
      const passed = pick([1, 2, 50, 99, 100, 101, 250, 400])
      done.push(`wait ${passed}`)
      // Timers find what is due, or the next verb does.
      if (pick([true, false])) clock.stall(passed)
      else clock.advance(passed)
      for (const node of nodes) await node.settled()
    }
  ]

  await ask('putPool', e => e.putPool(POOL, START))
  for (let step = 0; step < STEPS && t.passing(); step++) {
    await pick(steps)()
    await ask('list', async e => {
      const page = await e.list(POOL, { limit: 1000 })
      return 'refusal' in page ? page : page.keys.sort((a, b) => (a.id < b.id ? -1 : 1))
    })
    await ask('pool', e => e.pool(POOL))
  }
}

/** An answer without what is an engine's own; lists of keys in the order of their ids. */
function plain(answer: unknown): unknown {
  if (typeof answer === 'string') return NAMED.test(answer) ? answer.slice(0, 22) : answer
  if (Array.isArray(answer)) {
    const list = answer.map(plain)
    return list.every(item => isKey(item)) ? list.sort((a, b) => (a.id < b.id ? -1 : 1)) : list
  }
  if (typeof answer !== 'object' || answer === null) return answer
  return Object.fromEntries(
    Object.entries(answer)
      .filter(([name, value]) => !OWN.test(name) && value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => [name, plain(value)])
  )
}

function isKey(item: unknown): item is { id: string } {
  return typeof item === 'object' && item !== null && 'id' in item && typeof item.id === 'string' && 'state' in item
}
