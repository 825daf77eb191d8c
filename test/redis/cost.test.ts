import t, { type Test } from 'tap'
import type { Engine, KeyView, LeaseView } from '../../src/engine.ts'
import { createRedis } from '../support/create-redis.ts'
import { granted } from '../support/create-engine.ts'
import { isSkipped, startRedis } from '../support/redis-server.ts'

const POOL = 'default'
const FEW = 1000
const MANY = 30_000

/** Each verb on a key that is leased. */
const VERBS: Record<string, (engine: Engine, key: KeyView, lease: LeaseView) => unknown> = {
  acquire: engine => engine.acquire(POOL, {}),
  lease: (engine, _key, { id }) => engine.lease(POOL, id),
  renew: (engine, _key, { id }) => engine.renew(POOL, id, { keepAlive: true }),
  keepAlive: (engine, { id }) => engine.keepAlive(POOL, id),
  activate: (engine, { id }) => engine.activate(POOL, id),
  setMetadata: (engine, { id }) => engine.setMetadata(POOL, id, { a: 'b' }),
  key: (engine, { id }) => engine.key(POOL, id),
  release: (engine, _key, { id }) => engine.release(POOL, id, { cooldownMs: 1000 }),
  unblock: (engine, { id }) => engine.unblock(POOL, id),
  delete: (engine, { id }) => engine.delete(POOL, id),
  generate: engine => engine.generate(POOL, { count: 1, metadata: null }),
  pool: engine => engine.pool(POOL),
  list: engine => engine.list(POOL, { limit: 1 })
}

/** Of what a script may call, all that is not O(1) or O(log n) in what stands under a key. */
const SLOW = /^(KEYS|SCAN|[HSZ]SCAN|[HS]GETALL|HKEYS|HVALS|SMEMBERS|LINDEX|LREM|SORT)$/i

if (!isSkipped(t)) await costs(t)

async function costs(t: Test): Promise<void> {
  const server = await startRedis(t)
  const { client } = server
  const { engine, clock } = await createRedis(t, server.url)
  await granted(engine.putPool(POOL, { maxHoldMs: 86_400_000 }))

  /** How often each command is called by the server for each verb. */
  async function measure(): Promise<Record<string, Record<string, number>>> {
    const [made] = await granted(engine.generate(POOL, { count: 1, metadata: null }))
    const measured: Record<string, Record<string, number>> = {}
    const lease = await granted(engine.acquire(POOL, {}))
    const key = { ...(made as KeyView), id: lease.keyId }
    for (const [name, verb] of Object.entries(VERBS)) {
      clock.stall(1)
      await client.config('RESETSTAT')
      await granted(verb(engine, key, lease) as Promise<object>)
      const stats = await client.info('commandstats')
      measured[name] = Object.fromEntries(
        [...stats.matchAll(/cmdstat_([\w|]+):calls=(\d+)/g)]
          .map(([, command, calls]) => [String(command), Number(calls)] as const)
          .filter(([command]) => !/^(config|info|evalsha|eval|ping|publish)/.test(command))
      )
    }
    return measured
  }

  async function fill(to: number): Promise<void> {
    const { counts } = await granted(engine.pool(POOL))
    for (let made = counts.total; made < to; made += 1000) {
      await granted(engine.generate(POOL, { count: Math.min(1000, to - made), metadata: null }))
    }
  }

  await t.test('a verb takes the same steps of the server however many keys there are', async t => {
    await fill(FEW)
    const few = await measure()
    await fill(MANY)
    t.strictSame(await measure(), few)
    for (const [name, calls] of Object.entries(few)) {
      const steps = Object.values(calls).reduce((sum, count) => sum + count, 0)
      t.ok(steps > 0 && steps < 60, `${name}: ${steps} steps`)
      t.notOk(Object.keys(calls).some(command => SLOW.test(command)))
    }
  })

  await t.test('a mass of leases that end at once makes no call long', async t => {
    for (let leased = 0; leased < 5000; leased += 1000) {
      await granted(
        engine.batch(
          POOL,
          Array.from({ length: 1000 }, () => ({ op: 'acquire' }))
        )
      )
    }
    clock.stall(60_000)
    await client.config('RESETSTAT')
    t.match(await engine.acquire(POOL, {}), { fence: Number })
    const stats = await client.info('commandstats')
    const removed = Number(/cmdstat_zrem:calls=(\d+)/.exec(stats)?.[1])
    t.ok(removed > 10 && removed < 100, `${removed} of 5000`)
  })
}
